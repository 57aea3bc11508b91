//! `--fail-if`: a condition about a ratio, for checks that run without a reader.

use std::fmt;
use std::str::FromStr;

use tripoll::Backend;

use super::baseline::Baseline;
use super::format::listed;
use super::plan::{Call, Plan};
use super::point::Point;
use super::runner::Cell;
use super::statistics::Estimate;
use crate::workload::{Contender, Layer, Peer};

/// A condition: `tripoll/raw > 1.10`.
///
/// On each side of the slash stands a layer (`tripoll` is the one that is compared), another
/// library, or a call. Two layers are compared call by call. Two calls are compared through the layer
/// of tripoll. `baseline`, on the right, is the same contender in an earlier report.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    left: Side,
    right: Side,
    order: Order,
    bound: f64,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The layer of tripoll that is compared.
    Tripoll,
    /// Another layer, or another library.
    Layer(Layer),
    /// The crate mio.
    Mio,
    /// A call through the layer of tripoll.
    Call(Call),
    /// The earlier report.
    Baseline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// The calls by their names in a condition.
const CALLS: [(&str, Call); 4] = [
    ("select", Call::SELECT),
    ("poll", Call::POLL),
    ("epoll", Call::EPOLL_LEVEL),
    ("epoll-edge", Call::EPOLL_EDGE),
];

impl FromStr for Side {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let layers = Layer::ALL.into_iter().chain(Peer::ALL.into_iter().map(Layer::Peer));
        let layers: Vec<Layer> = layers.collect();
        let side = match name {
            "tripoll" => Some(Side::Tripoll),
            "mio" => Some(Side::Mio),
            "baseline" => Some(Side::Baseline),
            _ => {
                let layer = layers.iter().find(|layer| layer.name() == name);
                let call = CALLS.iter().find(|call| call.0 == name);
                layer.map(|&layer| Side::Layer(layer)).or(call.map(|call| Side::Call(call.1)))
            }
        };
        side.ok_or_else(|| {
            let known = ["tripoll", "baseline", "mio"].into_iter();
            let known = known.chain(layers.iter().map(|layer| layer.name()));
            let known: Vec<&str> = known.chain(CALLS.iter().map(|call| call.0)).collect();
            format!("`{name}` is not known; there are: {}", known.join(", "))
        })
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Tripoll => "tripoll",
            Side::Mio => "mio",
            Side::Baseline => "baseline",
            Side::Layer(layer) => layer.name(),
            Side::Call(call) => CALLS.iter().find(|one| one.1 == *call).map_or("", |one| one.0),
        })
    }
}

impl Order {
    fn symbol(self) -> &'static str {
        match self {
            Order::Above => ">",
            Order::AtLeast => ">=",
            Order::Below => "<",
            Order::AtMost => "<=",
        }
    }

    fn holds(self, figure: f64, bound: f64) -> bool {
        match self {
            Order::Above => figure > bound,
            Order::AtLeast => figure >= bound,
            Order::Below => figure < bound,
            Order::AtMost => figure <= bound,
        }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not of the form 'tripoll/raw > 1.10'");
        let at = text.find(['<', '>']).ok_or_else(form)?;
        let (ratio, rest) = text.split_at(at);
        let orders = [Order::AtLeast, Order::AtMost, Order::Above, Order::Below];
        let order = orders.into_iter().find(|order| rest.starts_with(order.symbol()));
        let order = order.ok_or_else(form)?;
        let bound = rest[order.symbol().len()..].trim().parse::<f64>();
        let bound = bound.ok().filter(|bound| bound.is_finite()).ok_or_else(form)?;
        let (left, right) = ratio.split_once('/').ok_or_else(form)?;
        let (left, right): (Side, Side) = (left.trim().parse()?, right.trim().parse()?);
        let is_call = |side: Side| matches!(side, Side::Call(_));
        if left == Side::Baseline {
            return Err("`baseline` stands on the right: 'tripoll/baseline > 1.05'".to_string());
        }
        if left == right || right != Side::Baseline && is_call(left) != is_call(right) {
            return Err(format!("{left} and {right} cannot be compared"));
        }
        Ok(Condition { left, right, order, bound })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Condition { left, right, order, bound } = self;
        write!(f, "{left}/{right} {} {bound}", order.symbol())
    }
}

/// How a condition was judged.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Whether the condition holds for one of the calls.
    pub holds: bool,
    /// The ratios that were compared with the bound, in a sentence.
    pub sentence: String,
}

impl Condition {
    /// Returns whether an earlier report is needed.
    pub fn needs_baseline(&self) -> bool {
        self.right == Side::Baseline
    }

    /// Checks that the plan measures both sides.
    ///
    /// # Errors
    ///
    /// The reason, if it does not.
    pub fn check(&self, plan: &Plan) -> Result<(), String> {
        match self.pairs(plan).is_empty() {
            true => Err(format!("{} and {} are not measured in this plan", self.left, self.right)),
            false => Ok(()),
        }
    }

    /// Returns the contenders that are compared.
    fn pairs(&self, plan: &Plan) -> Vec<[Contender; 2]> {
        let all: Vec<Contender> = plan.contenders().collect();
        let is = |side: Side, one: Contender| match side {
            Side::Tripoll => one.layer == plan.layer,
            Side::Mio => one.layer == Layer::Raw && one.backend == Backend::Mio,
            Side::Layer(layer) => one.layer == layer && one.backend != Backend::Mio,
            Side::Call(call) => one == call.contender(plan.layer),
            Side::Baseline => false,
        };
        let of = |side: Side| all.iter().copied().filter(move |&one| is(side, one));
        // What does the same in tripoll may be of another layer, and mio uses epoll.
        let beside = |one: Contender, other: Side| -> Option<Contender> {
            if other == Side::Tripoll
                && let Layer::Peer(_) | Layer::Raw = one.layer
                && (one.layer != Layer::Raw || one.backend == Backend::Mio)
            {
                return one.counterpart().filter(|ours| all.contains(ours));
            }
            let same = |two: &Contender| {
                let is_same = one.backend == two.backend && one.trigger == two.trigger;
                is_same || matches!(other, Side::Call(_))
            };
            of(other).find(same)
        };
        match (self.left, self.right) {
            (left, Side::Baseline) => of(left).map(|one| [one, one]).collect(),
            (Side::Tripoll, right) => {
                of(right).filter_map(|one| Some([beside(one, Side::Tripoll)?, one])).collect()
            }
            (left, right) => of(left).filter_map(|one| Some([one, beside(one, right)?])).collect(),
        }
    }

    /// Judges the condition. Each call counts on its own, with the median of all points.
    pub fn judge(&self, plan: &Plan, cells: &[Cell], baseline: Option<&Baseline>) -> Judged {
        let samples = |contender: Contender, point: Point| {
            let cell = cells.iter().find(|cell| cell.contender == contender && cell.point == point);
            cell.map(|cell| &cell.cpu_ns[..])
        };
        let earlier = |contender: Contender, point: Point| {
            let Contender { layer, backend, trigger } = contender;
            baseline?.samples(point, [layer.name(), backend.name(), trigger.name()])
        };
        let (mut holds, mut ratios) = (false, Vec::new());
        for [left, right] in self.pairs(plan) {
            let pair = |&point: &Point| {
                let right = match self.needs_baseline() {
                    true => earlier(right, point),
                    false => samples(right, point),
                };
                Some((samples(left, point)?, right?))
            };
            let pairs: Vec<_> = plan.points.iter().filter_map(pair).collect();
            if pairs.is_empty() {
                continue;
            }
            let Estimate { median, low, high } = match self.needs_baseline() {
                true => Estimate::of_medians(&pairs),
                false => Estimate::of_ratios(&pairs),
            };
            holds |= self.order.holds(median, self.bound);
            let name = match self.left {
                Side::Call(_) => String::new(),
                _ => format!(" by {}", call_name(left)),
            };
            ratios.push(format!("{median:.2} ({low:.2} to {high:.2}){name}"));
        }
        let verdict = match (ratios.is_empty(), holds) {
            (true, _) => "nothing was measured".to_string(),
            (_, true) => format!("it holds: {}", listed(&ratios)),
            (_, false) => format!("it does not hold: {}", listed(&ratios)),
        };
        Judged { holds, sentence: format!("--fail-if '{self}': {verdict}.") }
    }
}

/// Returns the name of a contender's call: `epoll edge`.
fn call_name(contender: Contender) -> String {
    Call { backend: contender.backend, trigger: contender.trigger }.name()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_read_as_it_is_written() {
        for text in [
            "tripoll/raw > 1.1",
            "epoll/poll < 0.5",
            "tripoll/baseline >= 1.05",
            "reactor/libevent <= 2",
            "mio/tripoll > 0.9",
        ] {
            assert_eq!(text.parse::<Condition>().unwrap().to_string(), text);
        }
        assert_eq!("tripoll / raw>1".parse::<Condition>(), "tripoll/raw > 1".parse());
        for (wrong, named) in [
            ("tripoll > 1", "tripoll/raw > 1.10"),
            ("tripoll/raw = 1", "tripoll/raw > 1.10"),
            ("tripoll/raw > much", "tripoll/raw > 1.10"),
            ("tripoll/bare > 1", "`bare` is not known"),
            ("tripoll/poll > 1", "cannot be compared"),
            ("poll/poll > 1", "cannot be compared"),
            ("baseline/tripoll > 1", "stands on the right"),
        ] {
            let error = wrong.parse::<Condition>().unwrap_err();
            assert!(error.contains(named), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_same_call_is_compared_on_both_sides() {
        let plan = Plan::new(Layer::Selector, true, 10);
        let pairs = |text: &str| text.parse::<Condition>().unwrap().pairs(&plan);
        assert_eq!(pairs("tripoll/raw > 1").len(), 4);
        for [ours, raw] in pairs("tripoll/raw > 1") {
            assert_eq!((ours.layer, raw.layer), (Layer::Selector, Layer::Raw));
            assert_eq!((ours.backend, ours.trigger), (raw.backend, raw.trigger));
        }
        assert_eq!(pairs("raw/tripoll > 1").len(), 4);
        assert_eq!(pairs("tripoll/raw-zero > 1").len(), 2);
        let [epoll, poll] = [Call::EPOLL_LEVEL, Call::POLL].map(|c| c.contender(Layer::Selector));
        assert_eq!(pairs("epoll/poll > 1"), [[epoll, poll]]);
        assert!(pairs("reactor/raw > 1").is_empty());
    }
}
