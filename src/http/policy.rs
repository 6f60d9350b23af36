//! What a browser may do with what it gets: draw the page with its own script and style, and read `/status`; nothing else.

use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

/// The status page.
pub const PAGE: &str = include_str!("page.html");

/// On every answer.
pub async fn protect(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // What is said is of this moment.
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY.clone());
    answer
}

static CONTENT_SECURITY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hashes = |tag| sources(&inline(PAGE, tag));
    let text = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hashes("script"),
        hashes("style"),
    );
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// The contents of the page's elements of this name, without attributes.
fn inline<'a>(page: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let after = page.split(open.as_str()).skip(1);
    after.filter_map(|rest| rest.split_once(close.as_str())).map(|(content, _)| content).collect()
}

fn sources(contents: &[&str]) -> String {
    let hash = |content: &&str| format!("'sha256-{}'", base64(&Sha256::digest(content.as_bytes())));
    let all: Vec<String> = contents.iter().map(hash).collect();
    if all.is_empty() { "'none'".to_owned() } else { all.join(" ") }
}

/// As in RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_that_a_browser_makes() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        // From the specification of Content Security Policy.
        let alert = sources(&["alert('Hello, world.');"]);
        assert_eq!(alert, "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
    }

    #[test]
    fn the_page_has_one_script_and_one_style_and_nothing_that_the_policy_forbids() {
        assert_eq!((inline(PAGE, "script").len(), inline(PAGE, "style").len()), (1, 1));
        assert_eq!((PAGE.matches("<script").count(), PAGE.matches("<style").count()), (1, 1));
        for foreign in [" style=\"", " onclick=", "http://", "https://"] {
            let markup = PAGE.replace(inline(PAGE, "script")[0], "");
            assert!(!markup.contains(foreign), "{foreign}");
        }
        let text = CONTENT_SECURITY.to_str().unwrap();
        assert!(text.starts_with("default-src 'none'; script-src 'sha256-") && !text.contains("unsafe"), "{text}");
    }
}
