//! Calls in virtual time: [`call`] stands for everything around a call's machine, [`script`] reads what people wrote.

pub mod call;
pub mod mouth;
pub mod script;
