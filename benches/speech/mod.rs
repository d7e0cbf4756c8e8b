//! `make bench-speech`: how well the product hears and speaks, beside stock engines. Purpose: the parts, in data-flow order.
//!
//! | file | holds |
//! |---|---|
//! | `corpus` | what callers say and mean, and dictated numbers |
//! | `random` | chance that is the same on every run |
//! | `voices` | the synthetic callers |
//! | `channel` | the telephone line: band, noise, G.711, loss and its concealment |
//! | `turns` | what is said to an engine and what it made of it |
//! | `line` | a call on the speech plane without a network |
//! | `product` | the product's ears under test |
//! | `stock` | stock PocketSphinx, the peer |
//! | `human` | a person's telephone prompts |
//! | `mouth` | the product's mouth under test, beside the `flite` command |
//! | `talks` | conversations at once on one core |
//! | `score` | word errors |
//! | `meaning` | whether what was heard means what was meant |
//! | `blame` | where errors come from |
//! | `machine` | CPU time, memory, load |
//! | `screen` | progress |
//! | `report` | figures, tables, files |
#![allow(dead_code, unreachable_pub, unused_imports, reason = "the bench and the tests of its parts each use some")]

pub mod blame;
pub mod channel;
pub mod corpus;
pub mod human;
pub mod line;
pub mod machine;
pub mod meaning;
pub mod mouth;
pub mod product;
pub mod random;
pub mod report;
pub mod score;
pub mod screen;
pub mod stock;
pub mod talks;
pub mod turns;
pub mod voices;
