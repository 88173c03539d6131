use std::path::{Path, PathBuf};

/// The configuration is unreadable or wrong. Ends the program with exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {reason}; name a readable TOML file with --config", file.display())]
    Read { file: PathBuf, reason: std::io::Error },
    /// `line` and `column` count from 1; columns are characters.
    #[error("{}:{line}:{column}: {message}", file.display())]
    Parse { file: PathBuf, line: usize, column: usize, message: String },
}

impl ConfigError {
    pub(super) fn parse(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let mut message = error.message().replace('\n', ", ");
        if let Some(suggestion) = suggest(&message) {
            message.push_str(&format!("; did you mean `{suggestion}`?"));
        }
        Self::Parse {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
        }
    }
}

/// serde's texts for an unknown field or variant name the wrong word first, then the known ones, all in backquotes.
fn suggest(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut words = message.split('`').skip(1).step_by(2);
    let wrong = words.next()?;
    words
        .map(|known| (strsim::damerau_levenshtein(wrong, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.chars().count().div_ceil(3))
        .map(|(_, known)| known)
}
