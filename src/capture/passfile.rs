//! `.pgpass` (PostgreSQL manual, "The Password File"): `hostname:port:database:username:password`, the first line that
//! fits. Read at each connect.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::options::Host;

/// PGPASSFILE, or `~/.pgpass`.
pub fn default_path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("PGPASSFILE").or_else(|| set("HOME").map(|home| home.join(".pgpass")))
}

/// None without a file or a line that fits. As in libpq, a file that others can read is not used, which is said.
pub fn look_up(path: &Path, host: &Host, database: &str, user: &str) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() {
        tracing::warn!("the password file {} is not a plain file: it is not used", path.display());
        return None;
    }
    if metadata.mode() & 0o077 != 0 {
        tracing::warn!("the password file {} can be read by others: it is not used; chmod 0600", path.display());
        return None;
    }
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) => {
            tracing::warn!("the password file {} cannot be read: {e}", path.display());
            return None;
        }
    };
    find(&text, host, database, user)
}

fn find(text: &str, host: &Host, database: &str, user: &str) -> Option<String> {
    let (name, port) = match host {
        Host::Tcp { name, port, .. } => (name.clone(), port),
        // libpq finds its default directory under the name of this machine.
        Host::Unix { directory, port } => match directory.display().to_string() {
            usual if usual == "/var/run/postgresql" || usual == "/tmp" => ("localhost".to_owned(), port),
            other => (other, port),
        },
    };
    let port = port.to_string();
    let wanted = [name.as_str(), port.as_str(), database, user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line)?;
        let fits = wanted.iter().zip(&fields).all(|(wanted, field)| field.raw == "*" || field.text == *wanted);
        fits.then(|| fields[4].text.clone())
    })
}

struct Field<'a> {
    /// `*` stands for all, `\*` for itself.
    raw: &'a str,
    text: String,
}

/// Four fields that end at a colon, and the rest of the line; a backslash takes the next character as it is.
fn fields(line: &str) -> Option<[Field<'_>; 5]> {
    let mut rest = line;
    let mut next = |last: bool| {
        let (mut text, mut escaped) = (String::new(), false);
        for (at, c) in rest.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                ':' if !escaped && !last => {
                    let raw = &rest[..at];
                    rest = &rest[at + 1..];
                    return Some(Field { raw, text });
                }
                c => {
                    text.push(c);
                    escaped = false;
                }
            }
        }
        last.then_some(Field { raw: rest, text })
    };
    Some([next(false)?, next(false)?, next(false)?, next(false)?, next(true)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn tcp(name: &str) -> Host {
        Host::Tcp { name: name.into(), address: None, port: 5432 }
    }

    #[test]
    fn the_first_line_that_fits() {
        let text = "# comment\n\
                    other:5432:shop:u:no\n\
                    db:5433:*:*:no\n\
                    db:*:shop:u:first\n\
                    *:*:*:*:all:of\\:it\\\\\n";
        assert_eq!(find(text, &tcp("db"), "shop", "u").as_deref(), Some("first"));
        assert_eq!(find(text, &tcp("db"), "else", "u").as_deref(), Some("all:of:it\\"));
        assert_eq!(find("db:5432:shop\n", &tcp("db"), "shop", "u"), None);
        assert_eq!(find("", &tcp("db"), "shop", "u"), None);
    }

    #[test]
    fn escapes_and_sockets() {
        let v6 = "\\:\\:1:5432:a\\:b:\\*:p\n";
        assert_eq!(find(v6, &tcp("::1"), "a:b", "*").as_deref(), Some("p"));
        assert_eq!(find(v6, &tcp("::1"), "a:b", "u"), None);
        let unix = |directory: &str| Host::Unix { directory: directory.into(), port: 5432 };
        assert_eq!(find("localhost:*:*:*:p", &unix("/var/run/postgresql"), "d", "u").as_deref(), Some("p"));
        assert_eq!(find("/srv/pg:*:*:*:p", &unix("/srv/pg"), "d", "u").as_deref(), Some("p"));
    }

    #[test]
    fn a_file_that_others_read_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pgpass");
        std::fs::write(&path, "*:*:*:*:p").unwrap();
        for (mode, found) in [(0o600, true), (0o640, false), (0o604, false), (0o400, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(look_up(&path, &tcp("db"), "d", "u").is_some(), found, "{mode:o}");
        }
        assert_eq!(look_up(dir.path(), &tcp("db"), "d", "u"), None);
        assert_eq!(look_up(&dir.path().join("none"), &tcp("db"), "d", "u"), None);
    }
}
