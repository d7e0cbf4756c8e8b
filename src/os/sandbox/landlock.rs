//! Landlock: which files, and on newer kernels which sockets and signals.

use super::{Plan, SandboxError};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};
use std::path::Path;

/// Whether the kernel would take rules; changes nothing.
pub(super) fn supported() -> Result<(), SandboxError> {
    let refuse = |e: &dyn std::fmt::Display| SandboxError::NoLandlock(e.to_string());
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .map_err(|e| refuse(&e))?
        .create()
        .map_err(|e| refuse(&e))
        .map(drop)
}

/// Applies the rules; returns what is enforced, in words.
///
/// Files are a hard requirement (version 1). TCP (4) and signals and abstract sockets (6) are taken where the kernel has
/// them; seccomp closes both anyway.
pub(super) fn apply(plan: &Plan) -> Result<String, SandboxError> {
    let refuse = |e: &dyn std::fmt::Display| SandboxError::NoLandlock(e.to_string());
    let newest = match plan.landlock_abi_max {
        Some(1) => ABI::V1,
        Some(2) => ABI::V2,
        Some(3) => ABI::V3,
        Some(4) => ABI::V4,
        Some(5) => ABI::V5,
        _ => ABI::V6,
    };
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .map_err(|e| refuse(&e))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(newest))
        .map_err(|e| refuse(&e))?;
    let mut says = "Landlock files".to_owned();
    if newest >= ABI::V4 {
        ruleset = ruleset.handle_access(AccessNet::from_all(newest)).map_err(|e| refuse(&e))?;
    }
    if newest >= ABI::V6 {
        ruleset = ruleset.scope(Scope::from_all(newest)).map_err(|e| refuse(&e))?;
    }
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    // What this version does not know is not asked for.
    let write =
        (read | make_bitflags!(AccessFs::{WriteFile | MakeReg | RemoveFile | Truncate})) & AccessFs::from_all(newest);
    let created = ruleset
        .create()
        .map_err(|e| refuse(&e))?
        .add_rule(beneath(&plan.readable, read)?)
        .map_err(|e| refuse(&e))?
        .add_rule(beneath(&plan.writable, write)?)
        .map_err(|e| refuse(&e))?;
    let status = created.restrict_self().map_err(|e| refuse(&e))?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err(refuse(&"the rules are not enforced")),
        RulesetStatus::FullyEnforced => {
            if newest >= ABI::V6 {
                says += ", sockets and signals";
            }
            Ok(says)
        }
        RulesetStatus::PartiallyEnforced => Ok(says + " (older kernel: sockets and signals by seccomp alone)"),
    }
}

fn beneath(path: &Path, access: BitFlags<AccessFs>) -> Result<PathBeneath<PathFd>, SandboxError> {
    let fd = PathFd::new(path).map_err(|e| SandboxError::Directory { path: path.to_owned(), what: e.to_string() })?;
    Ok(PathBeneath::new(fd, access))
}
