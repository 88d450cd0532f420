//! A chart as SVG, both axes logarithmic.

use std::fmt::Write as _;

use super::Chart;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 55.0;

/// They differ for the colour-blind too.
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// Whole decades around all that is shown.
struct Axis {
    from: i32,
    to: i32,
    start: f64,
    length: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, start: f64, length: f64) -> Self {
        let logarithms: Vec<f64> = values.map(|value| value.max(0.1).log10()).collect();
        let from = logarithms.iter().copied().fold(f64::MAX, f64::min).floor() as i32;
        let to = logarithms.iter().copied().fold(f64::MIN, f64::max).ceil() as i32;
        let to = to.max(from + 1);
        Self {
            from,
            to,
            start,
            length,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let share =
            (value.max(0.1).log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        self.start + share * self.length
    }

    /// Each power of ten.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.from..=self.to).map(|power| 10_f64.powi(power))
    }
}

pub(super) fn svg(chart: &Chart) -> String {
    let points = || chart.curves.iter().flat_map(|curve| &curve.points);
    let across = Axis::new(points().map(|(x, _)| *x), LEFT, WIDTH - LEFT - RIGHT);
    let up = Axis::new(
        points().map(|(_, y)| *y),
        HEIGHT - BOTTOM,
        -(HEIGHT - TOP - BOTTOM),
    );
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>\n",
        chart.title
    );
    frame(&mut text, chart, &across, &up);
    for (curve, colour) in chart.curves.iter().zip(COLOURS.iter().cycle()) {
        let line: Vec<String> = curve
            .points
            .iter()
            .map(|(x, y)| format!("{:.1},{:.1}", across.at(*x), up.at(*y)))
            .collect();
        write_all(
            &mut text,
            &format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                line.join(" ")
            ),
        );
        for (x, y) in &curve.points {
            write_all(
                &mut text,
                &format!(
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                    across.at(*x),
                    up.at(*y)
                ),
            );
        }
    }
    for (n, (curve, colour)) in chart.curves.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let (x, y) = (WIDTH - RIGHT + 15.0, TOP + 18.0 * n as f64 + 10.0);
        write_all(
            &mut text,
            &format!(
                "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{}</text>",
                curve.name
            ),
        );
    }
    text + "</svg>\n"
}

/// Grid, ticks and what the axes are.
fn frame(text: &mut String, chart: &Chart, across: &Axis, up: &Axis) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in across.ticks() {
        let x = across.at(tick);
        write_all(
            text,
            &format!(
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>"
            ),
        );
        write_all(
            text,
            &format!(
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
                bottom + 18.0
            ),
        );
    }
    for tick in up.ticks() {
        let y = up.at(tick);
        write_all(
            text,
            &format!(
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>"
            ),
        );
        write_all(
            text,
            &format!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
                LEFT - 8.0,
                y + 4.0
            ),
        );
    }
    let middle = f64::midpoint(LEFT, right);
    write_all(
        text,
        &format!(
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 14.0,
            chart.across
        ),
    );
    let centre = f64::midpoint(TOP, bottom);
    write_all(
        text,
        &format!(
            "<text x=\"16\" y=\"{centre}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {centre})\">{}</text>",
            chart.up
        ),
    );
}

fn write_all(text: &mut String, element: &str) {
    writeln!(text, "{element}").expect("a String takes all");
}
