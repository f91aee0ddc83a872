//! What is around the live page and the report: style, script, and what a browser may do with them.

use super::words::html;

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/live.js");
const LIVE: &str = include_str!("assets/live.html");

/// What a browser may do with the live page, as `Content-Security-Policy`: run the one script with this nonce, style,
/// and ask its own server; load nothing from anywhere.
pub fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The live page without figures, which its script asks for each second. `nonce` is of letters and digits, new for
/// each answer.
pub fn live_shell(nonce: &str) -> String {
    LIVE.replace("{style}", STYLE).replace("{nonce}", nonce).replace("{script}", SCRIPT)
}

/// A page that stands alone, without any script.
pub(super) fn document(title: &str, body: &str) -> String {
    let title = html(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: nothing from anywhere else, one script, and it has the nonce that the policy names.
    #[test]
    fn the_live_page_needs_nothing_from_elsewhere() {
        let page = live_shell("abc123");
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
        assert_eq!((page.matches("<script").count(), page.matches("nonce=\"abc123\"").count()), (1, 1));
        assert!(policy("abc123").contains("script-src 'nonce-abc123'"));
        assert!(!page.contains("{style}") && !page.contains("{script}") && !page.contains("{nonce}"));
    }
}
