//! Where libraries and models lie on disk. Purpose: one search order for all engines and one sentence for whatever is
//! missing. Plain paths, any thread. Deliberately absent: downloading, verifying (both `models/setup.sh`).

use std::path::{Path, PathBuf};

/// The command that puts ONNX Runtime, Moonshine, PocketSphinx and Silero into `native/`.
pub const SETUP_COMMAND: &str = "make setup";
/// The command that installs Flite and its voices.
pub const FLITE_COMMAND: &str = "apt-get install -y libflite1";

/// Something that an engine needs is not on this machine or cannot be used. The operator's to mend; retrying does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// A file is nowhere in the search path.
    #[error("{part}: {file} not found (looked in {looked}); install it with: {command}")]
    Missing {
        /// Engine that needs it.
        part: &'static str,
        /// File name looked for.
        file: String,
        /// Directories searched, comma separated.
        looked: String,
        /// Command that installs it.
        command: &'static str,
    },
    /// A library is there but the loader refuses it, or it lacks a symbol.
    #[error("{part}: {file} cannot be loaded: {why}; install it again with: {command}")]
    Unusable {
        /// Engine that needs it.
        part: &'static str,
        /// File name.
        file: String,
        /// What the loader said.
        why: String,
        /// Command that installs it.
        command: &'static str,
    },
}

/// The `native/` tree that `models/setup.sh` makes, or the places where it was looked for.
#[derive(Debug, Clone)]
pub struct Assets {
    roots: Vec<PathBuf>,
}

/// The embedded recogniser of whole turns comes in two sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoonshineSize {
    /// 27 million weights: soon, for words so far and for a machine that has much to do.
    Tiny,
    /// 61 million: at the same width 1.8 times as dear, and of 634 words over a telephone line it mishears 14 % where the
    /// other mishears 22 (without a guide).
    Base,
}

impl MoonshineSize {
    const fn directory(self) -> &'static str {
        match self {
            Self::Tiny => "moonshine-tiny-en",
            Self::Base => "moonshine-base-en",
        }
    }
}

impl Assets {
    /// Search order: `CALLWRIGHT_NATIVE`; `native/` beside the executable and up to four directories above it; `./native`;
    /// `/usr/lib/callwright`. Never fails: what is missing is reported by the engine that needs it.
    #[must_use]
    pub fn locate() -> Self {
        if let Some(root) = std::env::var_os("CALLWRIGHT_NATIVE").filter(|value| !value.is_empty()) {
            return Self { roots: vec![PathBuf::from(root)] };
        }
        let mut roots = Vec::new();
        if let Ok(executable) = std::env::current_exe() {
            // target/debug/deps/test-… lies four levels below the repository.
            roots.extend(executable.ancestors().skip(1).take(5).map(|directory| directory.join("native")));
        }
        roots.push(PathBuf::from("native"));
        roots.push(PathBuf::from("/usr/lib/callwright"));
        Self { roots }
    }

    /// Only this directory.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { roots: vec![root.into()] }
    }

    /// First root that exists, for messages.
    #[must_use]
    pub fn root(&self) -> Option<&Path> {
        self.roots.iter().map(PathBuf::as_path).find(|root| root.is_dir())
    }

    /// Directories searched for shared libraries before the system loader's own.
    pub fn library_directories(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.roots.iter().map(|root| root.join("lib"))
    }

    /// `lib/libonnxruntime.so`, C API level 28 or later.
    pub fn onnx_runtime(&self) -> Result<PathBuf, AssetError> {
        self.find("voice activity detection", "lib/libonnxruntime.so")
    }

    /// `lib/libsherpa-onnx-c-api.so`, version 2.0.
    pub fn sherpa(&self) -> Result<PathBuf, AssetError> {
        self.find("speech packs", "lib/libsherpa-onnx-c-api.so")
    }

    /// `silero_vad.onnx` (8 and 16 kHz graph).
    pub fn silero(&self) -> Result<PathBuf, AssetError> {
        self.find("voice activity detection", "silero_vad.onnx")
    }

    /// `smart-turn-v3.2-cpu.onnx`.
    pub fn end_of_turn(&self) -> Result<PathBuf, AssetError> {
        self.find("end of turn", "smart-turn-v3.2-cpu.onnx")
    }

    /// Directory of the recogniser of whole turns (`encoder.onnx`, `decoder.onnx`, `tokenizer.json`).
    pub fn moonshine(&self, size: MoonshineSize) -> Result<PathBuf, AssetError> {
        let (part, directory) = ("speech recognition", size.directory());
        let encoder = self.find(part, &format!("{directory}/encoder.onnx"))?;
        self.find(part, &format!("{directory}/decoder.onnx"))?;
        self.find(part, &format!("{directory}/tokenizer.json"))?;
        Ok(encoder.parent().map(Path::to_path_buf).unwrap_or_default())
    }

    /// `lib/libpocketsphinx.so`, version 5.
    pub fn pocketsphinx(&self) -> Result<PathBuf, AssetError> {
        self.find("speech recognition", "lib/libpocketsphinx.so")
    }

    /// Directory of the acoustic model (`mdef`, `means`, …).
    pub fn acoustic_model(&self) -> Result<PathBuf, AssetError> {
        let mdef = self.find("speech recognition", "model/en-us/en-us/mdef")?;
        Ok(mdef.parent().map(Path::to_path_buf).unwrap_or_default())
    }

    /// CMU pronouncing dictionary in Sphinx form.
    pub fn pronunciations(&self) -> Result<PathBuf, AssetError> {
        self.find("speech recognition", "model/en-us/cmudict-en-us.dict")
    }

    fn find(&self, part: &'static str, file: &str) -> Result<PathBuf, AssetError> {
        self.roots.iter().map(|root| root.join(file)).find(|path| path.is_file()).ok_or_else(|| AssetError::Missing {
            part,
            file: file.to_owned(),
            looked: self.roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", "),
            command: SETUP_COMMAND,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_installs_it() {
        let empty = Assets::at("/nonexistent/native");
        for error in [
            empty.onnx_runtime().unwrap_err(),
            empty.sherpa().unwrap_err(),
            empty.silero().unwrap_err(),
            empty.end_of_turn().unwrap_err(),
            empty.moonshine(MoonshineSize::Tiny).unwrap_err(),
            empty.moonshine(MoonshineSize::Base).unwrap_err(),
            empty.pocketsphinx().unwrap_err(),
            empty.acoustic_model().unwrap_err(),
            empty.pronunciations().unwrap_err(),
        ] {
            let said = error.to_string();
            assert!(said.contains("/nonexistent/native") && said.contains("make setup"), "{said}");
        }
        assert!(empty.root().is_none());
    }
}
