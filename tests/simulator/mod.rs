//! Calls in virtual time: [`call`] stands for everything around a call's machine, [`script`] reads what people wrote.

pub(crate) mod call;
pub(crate) mod mouth;
pub(crate) mod script;
