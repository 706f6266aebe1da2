//! One conversation drawn through the network: which router of which operator each path takes, and what the
//! operators see of it.
//!
//! What is seen follows from the paths: the proxy sees the sender's address and the router it forwards to;
//! the router with the queue sees the queue's ids and the recipient's address, and the proxy's address in the
//! sender's place. A router reached without a proxy sees both users. An operator sees what its routers see.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{FONT, GRID, INK_HEX, PAPER_HEX, PlotError, colour, escape, shortened, titled};

/// An operator and its routers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorBox {
    /// Its name.
    pub name: String,
    /// Names of its routers.
    pub routers: Vec<String>,
    /// How many of them may hold queues.
    pub storage: usize,
    /// How many of them may forward.
    pub proxy: usize,
}

/// A router: an operator and one of its routers, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterAt {
    /// Index into [`Network::operators`].
    pub operator: usize,
    /// Index into [`OperatorBox::routers`].
    pub router: usize,
}

/// The way of the messages from one user to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePath {
    /// Who sends.
    pub sender: String,
    /// Who receives.
    pub recipient: String,
    /// The router that forwards; `None` when the sender connects to the queue's router.
    pub proxy: Option<RouterAt>,
    /// The router that holds the queue.
    pub queue: RouterAt,
    /// A name for the queue, such as the beginning of its id.
    pub queue_id: String,
}

/// The picture: operators from top to bottom, and the paths of one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Shown on top.
    pub title: String,
    /// Who runs routers.
    pub operators: Vec<OperatorBox>,
    /// Usually two, one for each direction.
    pub paths: Vec<MessagePath>,
}

const WIDTH: i32 = 960;
const TOP: i32 = 96;
const USER_WIDTH: i32 = 108;
const BAND_LEFT: i32 = 172;
const BAND_RIGHT: i32 = 788;
const CHIP_WIDTH: i32 = 226;
const CHIP_HEIGHT: i32 = 80;
const ROW: i32 = CHIP_HEIGHT + 10;
const HEADER: i32 = 58;
const LINE: i32 = 20;
// Operators' texts keep to the column of the proxies: the lines between the columns must not cross them.
const PROXY_LEFT: i32 = BAND_LEFT + 20;
const QUEUE_LEFT: i32 = BAND_RIGHT - 20 - CHIP_WIDTH;

const BOLD: &str = " font-weight=\"bold\"";
const MUTED: &str = " opacity=\"0.75\"";

/// A user's name as pictures show it.
fn user(name: &str) -> String {
    shortened(name, 12)
}

/// What the proxy of `path` sees.
fn proxy_sees(path: &MessagePath) -> [String; 2] {
    [format!("sees {}’s address", user(&path.sender)), "and the next router, not the queue".into()]
}

/// What the router with the queue of `path` sees.
fn queue_sees(path: &MessagePath) -> [String; 2] {
    let (sender, recipient) = (user(&path.sender), user(&path.recipient));
    if path.proxy.is_none() {
        return [format!("sees {sender}’s address"), format!("and {recipient}’s")];
    }
    [format!("sees {recipient}’s address"), format!("and the proxy’s, not {sender}’s")]
}

/// What an operator can put together: one line for each path whose both ends it has, `true` marking these.
fn sums_up(network: &Network, operator: usize) -> Vec<(String, bool)> {
    let runs = |at: RouterAt| at.operator == operator;
    let mut both_ends = Vec::new();
    let mut users = BTreeSet::new();
    for path in &network.paths {
        if path.proxy.map_or(runs(path.queue), runs) {
            users.insert(&path.sender);
        }
        if runs(path.queue) {
            users.insert(&path.recipient);
        }
        if runs(path.queue) && path.proxy.is_none_or(runs) {
            let (sender, recipient) = (user(&path.sender), user(&path.recipient));
            both_ends.push((format!("▲ both ends: {sender} → {recipient}"), true));
        }
    }
    if !both_ends.is_empty() {
        return both_ends;
    }
    let line = match (users.pop_first(), users.len()) {
        (None, _) => "sees nothing of it".into(),
        (Some(only), 0) => format!("meets only {}", user(only)),
        _ => "meets both, but not on one path".into(),
    };
    vec![(line, false)]
}

/// Draws the network. The height follows from the number of operators and paths.
///
/// # Errors
/// [`PlotError::Empty`] without operators or paths, [`PlotError::UnknownRouter`] for a path through a router
/// that is not listed.
pub fn network(input: &Network) -> Result<String, PlotError> {
    if input.operators.is_empty() || input.paths.is_empty() {
        return Err(PlotError::Empty("no operators or no paths"));
    }
    let mut body = String::new();
    let mut lines = String::new();
    // Where each path enters and leaves: the middle left of its proxy, both sides of its queue.
    let mut proxies = vec![None; input.paths.len()];
    let mut queues = vec![0; input.paths.len()];
    let mut y = TOP;
    for (index, operator) in input.operators.iter().enumerate() {
        let rows: Vec<(usize, &MessagePath)> =
            (input.paths.iter().enumerate()).filter(|(_, path)| touches(path, index)).collect();
        let summary = sums_up(input, index);
        let height = HEADER + rows.len() as i32 * ROW + summary.len() as i32 * LINE + 12;
        band(&mut body, operator, y, height);
        let mut row_top = y + HEADER;
        for (path_index, path) in rows {
            let unknown = PlotError::UnknownRouter { path: path_index };
            let name = |at: RouterAt| operator.routers.get(at.router).ok_or(unknown.clone());
            let middle = row_top + CHIP_HEIGHT / 2;
            if let Some(at) = path.proxy.filter(|p| p.operator == index) {
                let at = (PROXY_LEFT, row_top, name(at)?);
                chip(&mut body, path_index, at, "proxy", &proxy_sees(path));
                if let Some(slot) = proxies.get_mut(path_index) {
                    *slot = Some(middle);
                }
            }
            if path.queue.operator == index {
                let at = (QUEUE_LEFT, row_top, name(path.queue)?);
                let role = format!("queue {}", path.queue_id);
                chip(&mut body, path_index, at, &role, &queue_sees(path));
                if let Some(slot) = queues.get_mut(path_index) {
                    *slot = middle;
                }
            }
            row_top += ROW;
        }
        for (line, both_ends) in summary {
            let style = if both_ends { BOLD } else { MUTED };
            label(&mut body, PROXY_LEFT, row_top + 12, 13, "start", style, &line);
            row_top += LINE;
        }
        y += height + 16;
    }
    let bottom = y;
    for (index, path) in input.paths.iter().enumerate() {
        let queue = queues.get(index).copied().unwrap_or_default();
        if queue == 0 || (path.proxy.is_some() && proxies.get(index).copied().flatten().is_none()) {
            return Err(PlotError::UnknownRouter { path: index });
        }
        let user = user_y(index, input.paths.len(), bottom);
        user_box(&mut body, 16, user, index, &path.sender, "sends");
        user_box(&mut body, WIDTH - 16 - USER_WIDTH, user, index, &path.recipient, "receives");
        let left = (16 + USER_WIDTH, user);
        if let Some(proxy) = proxies.get(index).copied().flatten() {
            curve(&mut lines, index, left, (PROXY_LEFT, proxy));
            curve(&mut lines, index, (PROXY_LEFT + CHIP_WIDTH, proxy), (QUEUE_LEFT, queue));
        } else {
            // Down to the row first: that row has nothing in the column of the proxies.
            bend(&mut lines, index, left, (PROXY_LEFT, queue));
            curve(&mut lines, index, (PROXY_LEFT, queue), (QUEUE_LEFT, queue));
        }
        let right = (WIDTH - 16 - USER_WIDTH, user);
        curve(&mut lines, index, (QUEUE_LEFT + CHIP_WIDTH, queue), right);
    }
    let height = bottom + 8;
    let mut svg = format!(
        "<svg width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         xmlns=\"http://www.w3.org/2000/svg\" font-family=\"{FONT}\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"{PAPER_HEX}\"/>\n"
    );
    label(&mut svg, 16, 28, 19, "start", BOLD, &input.title);
    for (x, heading) in [
        (16 + USER_WIDTH / 2, "users"),
        (PROXY_LEFT + CHIP_WIDTH / 2, "as a proxy"),
        (QUEUE_LEFT + CHIP_WIDTH / 2, "holding the queue"),
        (WIDTH - 16 - USER_WIDTH / 2, "users"),
    ] {
        label(&mut svg, x, TOP - 16, 13, "middle", MUTED, heading);
    }
    svg.push_str(&body);
    svg.push_str(&lines);
    svg.push_str("</svg>\n");
    Ok(titled(&svg, &input.title))
}

fn touches(path: &MessagePath, operator: usize) -> bool {
    path.queue.operator == operator || path.proxy.is_some_and(|p| p.operator == operator)
}

/// Users are spread over the height of the operators' boxes.
fn user_y(index: usize, of: usize, bottom: i32) -> i32 {
    let slot = (bottom - TOP) / of.max(1) as i32;
    TOP + slot * index as i32 + slot / 2
}

fn hex(index: usize) -> String {
    let rgb = colour(index);
    format!("#{:02X}{:02X}{:02X}", rgb.0, rgb.1, rgb.2)
}

/// A colour for each path that stays clear of its neighbour's.
fn path_colour(path: usize) -> String {
    hex(path * 2)
}

fn label(svg: &mut String, x: i32, y: i32, size: i32, anchor: &str, style: &str, text: &str) {
    let text = escape(text);
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{INK_HEX}\"{style}>{text}</text>"
    );
}

fn rectangle(svg: &mut String, x: i32, y: i32, width: i32, height: i32, style: &str) {
    let _ =
        writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\" {style}/>");
}

fn band(svg: &mut String, operator: &OperatorBox, y: i32, height: i32) {
    let grey = format!("#{:02X}{:02X}{:02X}", GRID.0, GRID.1, GRID.2);
    let style = format!("fill=\"{grey}\" fill-opacity=\"0.08\" stroke=\"{grey}\"");
    rectangle(svg, BAND_LEFT, y, BAND_RIGHT - BAND_LEFT, height, &style);
    let name = shortened(&operator.name, 26);
    label(svg, PROXY_LEFT, y + 25, 15, "start", BOLD, &name);
    let (storage, proxy) = (operator.storage, operator.proxy);
    let routers = match operator.routers.len() {
        1 => "1 router".to_owned(),
        n => format!("{n} routers"),
    };
    let roles = format!("{routers}: {storage} store, {proxy} forward");
    label(svg, PROXY_LEFT, y + 44, 13, "start", MUTED, &roles);
}

/// A router in one role on one path, with what it sees; `at` is its place and the router's name.
fn chip(svg: &mut String, path: usize, at: (i32, i32, &String), role: &str, sees: &[String]) {
    let (x, y, router) = at;
    let paint = path_colour(path);
    let style = format!("fill=\"{paint}\" fill-opacity=\"0.12\" stroke=\"{paint}\"");
    rectangle(svg, x, y, CHIP_WIDTH, CHIP_HEIGHT, &style);
    let x = x + 12;
    label(svg, x, y + 19, 13, "start", BOLD, &shortened(router, 27));
    label(svg, x, y + 36, 12, "start", MUTED, &shortened(role, 30));
    for (line, y) in sees.iter().zip([y + 53, y + 69]) {
        label(svg, x, y, 12, "start", "", line);
    }
}

fn user_box(svg: &mut String, x: i32, y: i32, path: usize, name: &str, does: &str) {
    let paint = path_colour(path);
    let style = format!("fill=\"none\" stroke=\"{paint}\" stroke-width=\"2\"");
    rectangle(svg, x, y - 24, USER_WIDTH, 48, &style);
    let middle = x + USER_WIDTH / 2;
    label(svg, middle, y - 3, 14, "middle", BOLD, &user(name));
    label(svg, middle, y + 15, 12, "middle", MUTED, does);
}

/// A line of the colour of `path`, level at both ends.
fn bend(svg: &mut String, path: usize, (x0, y0): (i32, i32), (x1, y1): (i32, i32)) {
    let paint = path_colour(path);
    let middle = i32::midpoint(x0, x1);
    let _ = writeln!(
        svg,
        "<path d=\"M{x0} {y0}C{middle} {y0} {middle} {y1} {x1} {y1}\" fill=\"none\" \
         stroke=\"{paint}\" stroke-width=\"2\"/>"
    );
}

/// The same with an arrowhead.
fn curve(svg: &mut String, path: usize, from: (i32, i32), (x, y): (i32, i32)) {
    bend(svg, path, from, (x - 8, y));
    let paint = path_colour(path);
    let _ = writeln!(svg, "<path d=\"M{x} {y}l-9 -5v10z\" fill=\"{paint}\"/>");
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn sample() -> Network {
        let operator = |name: &str, n: usize, storage| OperatorBox {
            name: name.into(),
            routers: (1..=n).map(|i| format!("{name}{i}.example")).collect(),
            storage,
            proxy: n,
        };
        let at = |operator, router| RouterAt { operator, router };
        let path = |sender: &str, recipient: &str, proxy, queue, id: &str| MessagePath {
            sender: sender.into(),
            recipient: recipient.into(),
            proxy,
            queue,
            queue_id: id.into(),
        };
        Network {
            title: "One conversation under different-operator".into(),
            operators: vec![operator("simplex", 11, 11), operator("flux", 6, 0)],
            paths: vec![
                path("Alice", "Bob", Some(at(1, 2)), at(0, 4), "q7f3"),
                path("Bob", "Alice", Some(at(1, 5)), at(0, 9), "q01c"),
            ],
        }
    }

    #[test]
    fn different_operators_see_one_end_each() {
        // Each operator forwards for the user whose queue it holds.
        let mut picture = sample();
        picture.paths[1].proxy = Some(RouterAt { operator: 0, router: 3 });
        picture.paths[1].queue = RouterAt { operator: 1, router: 4 };
        assert_eq!(sums_up(&picture, 0), [("meets only Bob".into(), false)]);
        assert_eq!(sums_up(&picture, 1), [("meets only Alice".into(), false)]);
        // One forwards and one stores: each meets both users, on different paths.
        let apart = ("meets both, but not on one path".to_owned(), false);
        assert_eq!(sums_up(&sample(), 0), std::slice::from_ref(&apart));
        assert_eq!(sums_up(&sample(), 1), [apart]);
        let path = &picture.paths[0];
        assert_eq!(proxy_sees(path)[0], "sees Alice’s address");
        assert_eq!(queue_sees(path), ["sees Bob’s address", "and the proxy’s, not Alice’s"]);
    }

    #[test]
    fn a_proxy_of_the_queues_operator_sees_both_ends() {
        let mut same = sample();
        same.paths[0].proxy = Some(RouterAt { operator: 0, router: 0 });
        assert_eq!(sums_up(&same, 0), [("▲ both ends: Alice → Bob".into(), true)]);
        same.paths[0].proxy = None;
        assert_eq!(sums_up(&same, 0), [("▲ both ends: Alice → Bob".into(), true)]);
        assert_eq!(queue_sees(&same.paths[0]), ["sees Alice’s address", "and Bob’s"]);
    }

    #[test]
    fn an_operator_off_the_paths_sees_nothing() {
        let mut direct = sample();
        for path in &mut direct.paths {
            path.proxy = None;
        }
        assert!(!sums_up(&direct, 1)[0].1);
        assert!(network(&direct).unwrap().contains("sees nothing of it"));
    }

    #[test]
    fn names_are_escaped() {
        let mut odd = sample();
        odd.operators[0].name = "<script>".into();
        assert!(!network(&odd).unwrap().contains("<script>"));
    }

    #[test]
    fn paths_through_unknown_routers_are_refused() {
        for at in [RouterAt { operator: 0, router: 11 }, RouterAt { operator: 2, router: 0 }] {
            let mut wrong = sample();
            wrong.paths[1].queue = at;
            assert_eq!(network(&wrong), Err(PlotError::UnknownRouter { path: 1 }));
            let mut wrong = sample();
            wrong.paths[1].proxy = Some(at);
            assert_eq!(network(&wrong), Err(PlotError::UnknownRouter { path: 1 }));
        }
    }
}
