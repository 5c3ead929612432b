//! Rich text as plain text ("Notes": a small list of HTML tags).

/// The text of a rich text as a person would type it: a line for each block, an item of a list behind a dash.
pub(crate) fn plain(rich: &str) -> String {
    let mut text = Text::default();
    let mut rest = rich;
    while let Some((before, after)) = rest.split_once('<') {
        text.write(before);
        let is_tag = after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        rest = after;
        if !is_tag {
            text.write("<");
        } else if let Some((tag, after)) = after.split_once('>') {
            text.tag(tag);
            rest = after;
        } else {
            // No tag ends any more, and to look for the end of each would take a long time.
            text.write("<");
            break;
        }
    }
    text.write(rest);
    let lines: Vec<_> = text.out.lines().map(str::trim_end).collect();
    lines.join("\n").trim().to_owned()
}

#[derive(Default)]
struct Text {
    out: String,
}

impl Text {
    /// White space runs together, as in HTML.
    fn write(&mut self, piece: &str) {
        let entities = unescaped(&piece.split(char::is_whitespace).collect::<Vec<_>>().join(" "));
        for c in entities.chars() {
            if c == ' ' && (self.out.is_empty() || self.out.ends_with([' ', '\n'])) {
                continue;
            }
            self.out.push(if c == '\u{a0}' { ' ' } else { c });
        }
    }

    fn tag(&mut self, tag: &str) {
        let name = tag.trim_start_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next();
        match name.unwrap_or_default().to_ascii_lowercase().as_str() {
            "br" => self.out.push('\n'),
            "li" if !tag.starts_with('/') => {
                self.end_line();
                self.out.push_str("- ");
            }
            "div" | "p" | "li" | "ol" | "ul" => self.end_line(),
            _ => {}
        }
    }

    fn end_line(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }
}

/// The characters that stand for themselves in no HTML. What is no entity stays.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let end = after.bytes().take(LONGEST_ENTITY).position(|b| b == b';');
        let parts = end.and_then(|end| Some((after.get(..end)?, after.get(end + 1..)?)));
        match parts.and_then(|(name, after)| Some((entity(name)?, after))) {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out + rest
}

/// No name or number of an entity that is known is longer, in bytes.
const LONGEST_ENTITY: usize = 16;

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            // A control character has no place in a text; those for white space are that.
            char::from_u32(code).map(|c| if c.is_control() { ' ' } else { c })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each were looked through to the end for its own, this would take a minute.
    #[test]
    fn a_megabyte_of_beginnings_without_ends_is_read_at_once() {
        for beginning in ["<", "<a", "&"] {
            let rich = beginning.repeat(1 << 20);
            assert_eq!(plain(&rich).len(), rich.len());
        }
    }

    #[test]
    fn blocks_become_lines_and_tags_go() {
        for (rich, text) in [
            ("<div>Roof <b>leaks</b></div><div>Call&nbsp;Ben</div>", "Roof leaks\nCall Ben"),
            ("one<br>two<br/><br />three", "one\ntwo\n\nthree"),
            ("<p>List:</p><ul><li>a</li><li>b</li></ul>end", "List:\n- a\n- b\nend"),
            ("a &lt; b &amp;&amp; c &#39;d&#x27; &copy x", "a < b && c 'd' &copy x"),
            ("5 < 6 and <a href=\"x\">link</a>", "5 < 6 and link"),
            ("plain\n  text", "plain text"),
            ("a&#13;b&#0;c&#10;&#x9;d", "a b c d"),
            ("a <b and c", "a <b and c"),
            ("a < b <", "a < b <"),
            ("", ""),
        ] {
            assert_eq!(plain(rich), text, "{rich}");
        }
    }
}
