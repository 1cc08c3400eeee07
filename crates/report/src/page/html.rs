//! Pieces of HTML.

/// A page as it grows.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    pub(super) fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    pub(super) fn text(self) -> String {
        self.0
    }

    /// A section's heading, which links can name.
    pub(super) fn heading(&mut self, name: &str) {
        self.line(&format!("<h2 id=\"{name}\">{name}</h2>"));
    }

    /// A table of a class; the rows of some numbers are marked.
    pub(super) fn table(&mut self, class: &str, header: &[String], rows: &[Vec<String>], marked: &[usize]) {
        let cells = |cells: &[String], tag: &str| {
            cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect::<String>()
        };
        self.line(&format!(
            "<div class=\"{class}\"><table>\n<thead><tr>{}</tr></thead>\n<tbody>",
            cells(header, "th")
        ));
        for (index, row) in rows.iter().enumerate() {
            let mark = if marked.contains(&index) { " class=\"differs\"" } else { "" };
            self.line(&format!("<tr{mark}>{}</tr>", cells(row, "td")));
        }
        self.line("</tbody></table></div>");
    }

    /// Links to files: where they are and what they are called.
    pub(super) fn links(&mut self, files: &[(String, &str)]) {
        let each = files.iter().map(|(to, name)| format!("<a href=\"{}\">{name}</a>", escape(&link(to))));
        self.line(&format!("<p class=\"links\">{}</p>", each.collect::<Vec<_>>().join(", ")));
    }

    /// A figure: its still picture, for print and where no script runs, and its numbers, from which the script draws it.
    pub(super) fn figure(&mut self, index: usize, name: &str, (title, chart): (&str, &str), svg: &str) {
        self.line(&format!(
            "<figure id=\"figure-{index}\" class=\"still\"><figcaption>{}</figcaption>",
            escape(title)
        ));
        self.line(&format!("<img alt=\"{}\" src=\"data:image/svg+xml,{}\">", escape(title), in_url(svg)));
        // so that no text ends the script
        let chart = chart.replace('<', "\\u003c");
        self.line(&format!("<script type=\"application/json\">{chart}</script>"));
        let files = ["csv", "svg", "png"].map(|ending| (format!("figures/{name}.{ending}"), ending));
        self.links(&files);
        self.line("</figure>");
    }
}

/// Text as HTML has it, in attributes too.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A path as a link has it.
fn link(path: &str) -> String {
    path.replace('%', "%25").replace('#', "%23").replace('?', "%3F").replace(' ', "%20")
}

/// An SVG as part of a `data:` URL in quotes.
fn in_url(svg: &str) -> String {
    svg.replace('%', "%25").replace('#', "%23").replace('"', "'").replace('\n', " ").replace('&', "&amp;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
        assert_eq!(link("a b/c#1?%"), "a%20b/c%231%3F%25");
        let mut html = Html::default();
        html.figure(0, "x", ("a<b", "{\"name\":\"</script>\"}"), "<svg id=\"a\" fill=\"#fff\"/>");
        let text = html.text();
        assert!(text.contains("{\"name\":\"\\u003c/script>\"}"), "{text}");
        assert!(text.contains("src=\"data:image/svg+xml,<svg id='a' fill='%23fff'/>\""), "{text}");
    }
}
