//! What a turn can want, as programs are told. Plain data. Purpose: the closed list of `POST /v1/intents`; its order is that of
//! the classifier's weights. Deliberately absent: how it is told (`fuse`), what to do about it (the dialogue).

use serde::{Deserialize, Serialize};

/// An intent. Serialises to its name, e.g. `build_crm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Wants a CRM built.
    BuildCrm,
    /// Wants a website built.
    BuildWebsite,
    /// Wants an online shop built.
    BuildEcommerce,
    /// Wants an API built.
    BuildApi,
    /// Wants a dashboard built.
    BuildDashboard,
    /// Wants a blockchain or a contract on one built.
    BuildBlockchain,
    /// Wants to see a part of a page drawn.
    ComponentMockup,
    /// Asks how something that was built is.
    Status,
    /// Asks for figures.
    Metrics,
    /// Asks how far a build is.
    Progress,
    /// Asks what is wrong.
    Problems,
    /// Asks what was before.
    History,
    /// Changes what is to be built.
    Amend,
    /// Says yes to what was read back.
    Approve,
    /// Says no to it.
    Reject,
    /// Calls a build or a request off.
    Cancel,
    /// Wants the version before.
    Rollback,
    /// Wants what was built gone.
    Delete,
    /// Asks about the world, the house or its products.
    KnowledgeQuestion,
    /// Wants a person.
    Transfer,
    /// Wants to hear it again.
    Repeat,
    /// Ends the call.
    Hangup,
    /// Wants none of these.
    Other,
}

impl Label {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::BuildCrm,
        Self::BuildWebsite,
        Self::BuildEcommerce,
        Self::BuildApi,
        Self::BuildDashboard,
        Self::BuildBlockchain,
        Self::ComponentMockup,
        Self::Status,
        Self::Metrics,
        Self::Progress,
        Self::Problems,
        Self::History,
        Self::Amend,
        Self::Approve,
        Self::Reject,
        Self::Cancel,
        Self::Rollback,
        Self::Delete,
        Self::KnowledgeQuestion,
        Self::Transfer,
        Self::Repeat,
        Self::Hangup,
        Self::Other,
    ];

    /// As it is written in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BuildCrm => "build_crm",
            Self::BuildWebsite => "build_website",
            Self::BuildEcommerce => "build_ecommerce",
            Self::BuildApi => "build_api",
            Self::BuildDashboard => "build_dashboard",
            Self::BuildBlockchain => "build_blockchain",
            Self::ComponentMockup => "component_mockup",
            Self::Status => "status",
            Self::Metrics => "metrics",
            Self::Progress => "progress",
            Self::Problems => "problems",
            Self::History => "history",
            Self::Amend => "amend",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Cancel => "cancel",
            Self::Rollback => "rollback",
            Self::Delete => "delete",
            Self::KnowledgeQuestion => "knowledge_question",
            Self::Transfer => "transfer",
            Self::Repeat => "repeat",
            Self::Hangup => "hangup",
            Self::Other => "other",
        }
    }

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether something is to be made.
    #[must_use]
    pub const fn builds(self) -> bool {
        self.index() <= Self::ComponentMockup.index()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_agree() {
        for (index, label) in Label::ALL.into_iter().enumerate() {
            assert_eq!(label.index(), index);
            assert_eq!(serde_json::to_value(label).unwrap(), label.name());
        }
        assert!(Label::ComponentMockup.builds() && !Label::Status.builds());
    }
}
