//! Strings that may hold secrets, and where they come from.
//!
//! The rule: a secret is never printed, logged or served. Neither [`Secret`] nor [`Template`] shows its content in
//! `Debug`, and neither has `Display`. A template is resolved at each connect, so that a rotated file is picked up.

use std::fmt;
use std::path::PathBuf;

/// A resolved secret: a password, a URL that may carry one, a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }
    /// The content, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// A string as written in the configuration, with `${NAME}` and `${file:/path}` in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `None`: the variable is not set. Reading the configuration does not fail for it, because `check` runs where
    /// the secrets are not.
    Variable {
        name: String,
        value: Option<String>,
    },
    File(PathBuf),
}

/// Why a template or a password could not be resolved. Names only, never content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the environment variable {name} is not set")]
    Variable { name: String },
    #[error("cannot read {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
}

/// The `${…}` of a string is not well formed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TemplateError {
    #[error("`${{` has no closing `}}`")]
    Unclosed,
    #[error("`${{}}` names no variable")]
    Empty,
}

impl Template {
    /// A string without substitutions.
    pub fn literal(text: impl Into<String>) -> Template {
        Template { parts: vec![Part::Text(text.into())] }
    }

    /// Splits the text; variables are looked up now (they do not change while the process lives), files at each
    /// [`resolve`](Self::resolve). Relative paths are relative to `dir`.
    pub fn parse(
        text: &str,
        dir: &std::path::Path,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            let inner = &rest[at + 2..];
            let end = inner.find('}').ok_or(TemplateError::Unclosed)?;
            let name = &inner[..end];
            parts.push(match name.strip_prefix("file:") {
                Some("") => return Err(TemplateError::Empty),
                Some(path) => Part::File(dir.join(path)),
                None if name.is_empty() => return Err(TemplateError::Empty),
                None => Part::Variable { name: name.to_owned(), value: variable(name) },
            });
            rest = &inner[end + 1..];
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template { parts })
    }

    /// The text with every substitution made; files are read now.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(t) => text.push_str(t),
                Part::Variable { value: Some(v), .. } => text.push_str(v),
                Part::Variable { name, value: None } => {
                    return Err(SecretError::Variable { name: name.clone() });
                }
                Part::File(path) => text.push_str(&read_line(path)?),
            }
        }
        Ok(Secret(text))
    }

    /// Whether a later [`resolve`](Self::resolve) can give another text.
    pub fn names_a_file(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::File(_)))
    }

    /// The written text when nothing is substituted in it.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template(***)")
    }
}

/// Where the Postgres password comes from; asked at each connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// `postgres.password_file`
    File(PathBuf),
    /// `postgres.password`
    Written(Template),
    /// `PGPASSWORD`, as it was when the configuration was read; a password in the URL wins over it.
    Environment(Secret),
    /// None of them: the URL's own, or a method that needs none.
    Absent,
}

impl PasswordSource {
    pub fn resolve(&self) -> Result<Option<Secret>, SecretError> {
        match self {
            PasswordSource::File(path) => Ok(Some(Secret(read_line(path)?))),
            PasswordSource::Written(template) => template.resolve().map(Some),
            PasswordSource::Environment(secret) => Ok(Some(secret.clone())),
            PasswordSource::Absent => Ok(None),
        }
    }
}

/// A file's content without the line end that editors and `kubectl create secret` leave.
fn read_line(path: &std::path::Path) -> Result<String, SecretError> {
    let mut text =
        std::fs::read_to_string(path).map_err(|source| SecretError::File { path: path.to_owned(), source })?;
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Template, TemplateError> {
        let variable = |name: &str| (name == "WORD").then(|| "w".to_owned());
        Template::parse(text, std::path::Path::new("/"), &variable)
    }

    #[test]
    fn variables_are_put_in() {
        for (text, expected) in
            [("a", "a"), ("", ""), ("${WORD}", "w"), ("a${WORD}b${WORD}", "awbw"), ("$WORD {}", "$WORD {}")]
        {
            assert_eq!(parse(text).unwrap().resolve().unwrap().expose(), expected, "{text}");
        }
        assert_eq!(parse("a${"), Err(TemplateError::Unclosed));
        assert_eq!(parse("${}"), Err(TemplateError::Empty));
        assert_eq!(
            parse("${ABSENT}").unwrap().resolve().unwrap_err().to_string(),
            "the environment variable ABSENT is not set"
        );
    }

    #[test]
    fn a_file_is_read_again_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "one\n").unwrap();
        let template = parse(&format!("x${{file:{}}}", path.display())).unwrap();
        assert_eq!(template.resolve().unwrap().expose(), "xone");
        std::fs::write(&path, "two\r\n").unwrap();
        assert_eq!(template.resolve().unwrap().expose(), "xtwo");
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let secret = Secret::new("hunter2");
        let source = PasswordSource::Written(Template::literal("hunter2"));
        assert!(!format!("{secret:?}{source:?}").contains("hunter2"));
    }
}
