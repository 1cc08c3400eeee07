//! Elements of HTML.

use crate::error::ReportError;
use crate::figure::DrawnFigure;
use crate::glossary::meaning;
use crate::table::Table;

/// A page under construction.
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

    /// A section heading with an anchor.
    pub(super) fn heading(&mut self, name: &str) {
        self.line(&format!("<h2 id=\"{name}\">{name}</h2>"));
    }

    /// Links to places on the page.
    pub(super) fn contents<'a>(&mut self, anchors: impl IntoIterator<Item = &'a str>) {
        let links = anchors.into_iter().map(|name| format!("<a href=\"#{0}\">{0}</a>", escape(name)));
        let links: String = links.collect();
        self.line(&format!("<nav>{links}</nav>"));
    }

    /// A table of results.
    pub(super) fn results(&mut self, table: &Table) {
        let is_left = |column: usize| table.columns[column].role.is_left();
        self.cells("table results", &table.titles(), &table.texts(), &[], is_left);
    }

    /// A table of texts of a CSS class, with the rows at the indices `marked` highlighted.
    pub(super) fn texts(&mut self, class: &str, header: &[String], rows: &[Vec<String>], marked: &[usize]) {
        self.cells(class, header, rows, marked, |_| true);
    }

    fn cells(
        &mut self,
        class: &str,
        header: &[String],
        rows: &[Vec<String>],
        marked: &[usize],
        is_left: impl Fn(usize) -> bool,
    ) {
        let side = |column: usize| if is_left(column) { " class=\"left\"" } else { "" };
        let cell = |(column, cell): (usize, &String)| format!("<td{}>{}</td>", side(column), escape(cell));
        let title = |(column, title): (usize, &String)| {
            let text = match meaning(title) {
                Some(meaning) => {
                    let (meaning, title) = (escape(meaning), escape(title));
                    format!("<span class=\"term\" title=\"{meaning}\">{title}</span>")
                }
                None => escape(title),
            };
            format!("<th{}>{text}</th>", side(column))
        };
        let titles: String = header.iter().enumerate().map(title).collect();
        self.line(&format!("<div class=\"{class}\"><table>\n<thead><tr>{titles}</tr></thead>\n<tbody>"));
        for (index, row) in rows.iter().enumerate() {
            let mark = if marked.contains(&index) { " class=\"differs\"" } else { "" };
            let cells: String = row.iter().enumerate().map(cell).collect();
            self.line(&format!("<tr{mark}>{cells}</tr>"));
        }
        self.line("</tbody></table></div>");
    }

    /// A line of links to files whose paths are `prefix` followed by a text.
    pub(super) fn links(&mut self, prefix: &str, texts: &[&str]) {
        self.line("<p class=\"links\">");
        self.anchors(prefix, texts);
    }

    /// The links of such a line, and its end.
    pub(super) fn anchors(&mut self, prefix: &str, texts: &[&str]) {
        let link =
            |text: &&str| format!("<a href=\"{}\">{text}</a>", escape(&in_link(&format!("{prefix}{text}"))));
        let links: Vec<String> = texts.iter().map(link).collect();
        self.line(&format!("{}</p>", links.join(", ")));
    }

    /// A figure whose files are in `figures/` of `folder`: a static picture, for print and for browsers without scripts, and its
    /// numbers, from which the script draws it.
    pub(super) fn figure(
        &mut self,
        index: usize,
        folder: &str,
        drawn: &DrawnFigure,
    ) -> Result<(), ReportError> {
        let DrawnFigure { figure, picture } = drawn;
        let title = escape(&figure.chart.title);
        self.line(&format!("<figure id=\"figure-{index}\" class=\"still\"><figcaption>{title}</figcaption>"));
        self.line(&format!("<p class=\"note\">{}</p>", escape(&figure.chart.note)));
        self.line(&format!("<img alt=\"{title}\" src=\"data:image/svg+xml,{}\">", in_url(&picture.svg)));
        // keep text from closing the script element
        let chart = serde_json::to_string(&figure.chart)?.replace('<', "\\u003c");
        self.line(&format!("<script type=\"application/json\">{chart}</script>"));
        self.links(&format!("{folder}figures/{}.", figure.name()), &["csv", "svg", "png"]);
        self.line("</figure>");
        Ok(())
    }
}

/// Text with HTML's special characters escaped, in attributes as well.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A path with the characters that are special in links escaped.
fn in_link(path: &str) -> String {
    path.replace('%', "%25").replace('#', "%23").replace('?', "%3F").replace(' ', "%20")
}

/// An SVG as part of a quoted `data:` URL.
fn in_url(svg: &str) -> String {
    svg.replace('%', "%25").replace('#', "%23").replace('"', "'").replace('\n', " ").replace('&', "&amp;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Chart, Series};
    use crate::draw::Picture;
    use crate::figure::Figure;

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
        assert_eq!(in_link("a b/c#1?%"), "a%20b/c%231%3F%25");
        let mut html = Html::default();
        let series = vec![Series::new(0, "</script>", vec![])];
        let figure = Figure::new("x", Chart { series, ..Chart::new("a<b", "", "") }, [], []);
        let picture = Picture { svg: "<svg id=\"a\" fill=\"#fff\"/>".into(), png: vec![] };
        html.figure(0, "", &DrawnFigure { figure, picture }).unwrap();
        let text = html.text();
        assert!(
            text.contains("\"name\":\"\\u003c/script>\"") && text.contains("<figcaption>a&lt;b</figcaption>"),
            "{text}"
        );
        assert!(text.contains("src=\"data:image/svg+xml,<svg id='a' fill='%23fff'/>\""), "{text}");
    }
}
