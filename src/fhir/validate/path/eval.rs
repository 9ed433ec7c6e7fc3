//! Expressions on elements. Every function goes once over its input; nothing recurses by data.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::{Element, Environment, Expression, Function, Operator, Surroundings};

/// A member of a collection.
#[derive(Clone, Debug)]
pub(super) enum Item<'a> {
    Element(Element<'a>),
    Text(Cow<'a, str>),
    Number(f64),
    Truth(bool),
}

type Items<'a> = Vec<Item<'a>>;

/// A primitive value to compare.
enum Plain<'i> {
    Text(&'i str),
    Number(f64),
    Truth(bool),
}

impl<'a> Item<'a> {
    fn plain(&self) -> Option<Plain<'_>> {
        match self {
            Item::Text(text) => Some(Plain::Text(text)),
            Item::Number(number) => Some(Plain::Number(*number)),
            Item::Truth(truth) => Some(Plain::Truth(*truth)),
            Item::Element(element) => match element.value {
                Value::String(text) => Some(Plain::Text(text)),
                Value::Number(number) => number.as_f64().map(Plain::Number),
                Value::Bool(truth) => Some(Plain::Truth(*truth)),
                _ => None,
            },
        }
    }

    fn text(&self) -> Option<&str> {
        match self.plain() {
            Some(Plain::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self.plain(), other.plain()) {
            (Some(Plain::Text(one)), Some(Plain::Text(two))) => one == two,
            (Some(Plain::Number(one)), Some(Plain::Number(two))) => one == two,
            (Some(Plain::Truth(one)), Some(Plain::Truth(two))) => one == two,
            (None, None) => match (self, other) {
                (Item::Element(one), Item::Element(two)) => one.value == two.value,
                _ => false,
            },
            _ => false,
        }
    }

    fn is_of(&self, kind: &str) -> bool {
        match self {
            Item::Element(element) => {
                element.kind.is_some_and(|own| own == kind)
                    || element.value.get("resourceType").and_then(Value::as_str) == Some(kind)
            }
            _ => false,
        }
    }

    fn member(&self, name: &str, into: &mut Items<'a>) {
        let Item::Element(element) = self else {
            return;
        };
        if name == "extension"
            && let Some(beside) = element.beside
        {
            push(beside.get("extension"), None, None, into);
        }
        let Some(object) = element.value.as_object() else {
            return;
        };
        let beside = object.get(&format!("_{name}"));
        let value = object.get(name);
        if value.is_some() || beside.is_some() {
            push(value, beside, None, into);
            return;
        }
        // A choice: `value` is `valueQuantity` here.
        for (key, value) in object {
            if let Some(kind) = key.strip_prefix(name)
                && kind.starts_with(|first: char| first.is_ascii_uppercase())
            {
                push(Some(value), object.get(&format!("_{key}")), Some(kind), into);
            }
        }
    }
}

fn push<'a>(
    value: Option<&'a Value>,
    beside: Option<&'a Value>,
    kind: Option<&'a str>,
    into: &mut Items<'a>,
) {
    static NULL: Value = Value::Null;
    match (value, beside) {
        (Some(Value::Array(values)), _) => {
            for (at, value) in values.iter().enumerate() {
                let beside = beside.and_then(|beside| beside.get(at));
                into.push(Item::Element(Element { value, beside, kind }));
            }
        }
        (value, beside) => {
            if value.is_some() || beside.is_some() {
                let value = value.unwrap_or(&NULL);
                into.push(Item::Element(Element { value, beside, kind }));
            }
        }
    }
}

/// A collection as a truth value; one that is not a Boolean is true (singleton evaluation).
pub(super) fn truth(items: &[Item<'_>]) -> Option<bool> {
    match items {
        [] => None,
        [one] => match one.plain() {
            Some(Plain::Truth(truth)) => Some(truth),
            _ => Some(true),
        },
        _ => Some(true),
    }
}

fn one_truth<'a>(truth: Option<bool>) -> Items<'a> {
    truth.map(Item::Truth).into_iter().collect()
}

pub(super) fn evaluate<'a>(
    expression: &Expression,
    focus: &[Item<'a>],
    context: Element<'a>,
    around: Surroundings<'a>,
) -> Items<'a> {
    let element = |value| vec![Item::Element(Element::new(value))];
    match expression {
        Expression::Nothing | Expression::Kind(_) => Vec::new(),
        Expression::Text(text) => vec![Item::Text(Cow::Owned(text.clone()))],
        Expression::Number(number) => vec![Item::Number(*number)],
        Expression::Truth(truth) => vec![Item::Truth(*truth)],
        Expression::This => focus.to_vec(),
        Expression::Environment(name) => match name {
            Environment::Resource => element(around.scope.resource),
            Environment::RootResource => element(around.scope.root),
            Environment::Context => vec![Item::Element(context)],
            Environment::Ucum => vec![Item::Text(Cow::Borrowed("http://unitsofmeasure.org"))],
        },
        Expression::Member(name) => {
            let mut items = Vec::new();
            for item in focus {
                item.member(name, &mut items);
            }
            items
        }
        Expression::Dot(left, right) => {
            let focus = evaluate(left, focus, context, around);
            evaluate(right, &focus, context, around)
        }
        Expression::Binary(operator, left, right) => {
            let left = evaluate(left, focus, context, around);
            // Nothing that is not needed is evaluated.
            match (operator, truth(&left)) {
                (Operator::And, Some(false)) => return one_truth(Some(false)),
                (Operator::Or, Some(true)) | (Operator::Implies, Some(false)) => {
                    return one_truth(Some(true));
                }
                _ => {}
            }
            let right = evaluate(right, focus, context, around);
            binary(*operator, left, right)
        }
        Expression::Call(function, arguments) => call(*function, arguments, focus, context, around),
    }
}

fn binary<'a>(operator: Operator, left: Items<'a>, right: Items<'a>) -> Items<'a> {
    let (one, two) = (truth(&left), truth(&right));
    match operator {
        Operator::And => one_truth(match (one, two) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }),
        Operator::Or => one_truth(match (one, two) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }),
        Operator::Xor => one_truth(one.zip(two).map(|(one, two)| one != two)),
        Operator::Implies => one_truth(match (one, two) {
            (Some(false), _) | (_, Some(true)) => Some(true),
            (Some(true), two) => two,
            (None, _) => None,
        }),
        Operator::Equal | Operator::NotEqual => {
            if left.is_empty() || right.is_empty() {
                return Vec::new();
            }
            let is_equal = left.len() == right.len()
                && left.iter().zip(&right).all(|(one, two)| one.is_same(two));
            one_truth(Some(is_equal == (operator == Operator::Equal)))
        }
        Operator::In => {
            one_truth(left.first().map(|item| right.iter().any(|other| other.is_same(item))))
        }
        Operator::Contains => {
            one_truth(right.first().map(|item| left.iter().any(|other| other.is_same(item))))
        }
        Operator::Union => {
            let mut items: Items<'a> = Vec::new();
            for item in left.into_iter().chain(right) {
                if !items.iter().any(|other| other.is_same(&item)) {
                    items.push(item);
                }
            }
            items
        }
        Operator::Concatenate => {
            let text = |items: &Items<'a>| {
                items.first().and_then(|item| item.text().map(str::to_owned)).unwrap_or_default()
            };
            vec![Item::Text(Cow::Owned(text(&left) + &text(&right)))]
        }
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            let order = left.first().zip(right.first()).and_then(|(one, two)| compare(one, two));
            one_truth(order.map(|order| match operator {
                Operator::Less => order.is_lt(),
                Operator::LessOrEqual => order.is_le(),
                Operator::Greater => order.is_gt(),
                _ => order.is_ge(),
            }))
        }
    }
}

fn compare(one: &Item<'_>, two: &Item<'_>) -> Option<Ordering> {
    match (one.plain()?, two.plain()?) {
        (Plain::Number(one), Plain::Number(two)) => one.partial_cmp(&two),
        (Plain::Text(one), Plain::Text(two)) => compare_dates(one, two),
        _ => None,
    }
}

/// Dates of different precision are compared as far as both tell (FHIRPath 6.2).
fn compare_dates(one: &str, two: &str) -> Option<Ordering> {
    if one.contains('T') && two.contains('T') {
        let moment = |text: &str| text.parse::<jiff::Timestamp>().ok();
        return Some(moment(one)?.cmp(&moment(two)?));
    }
    let (day, other) = (one.split('T').next()?, two.split('T').next()?);
    let shared = day.len().min(other.len());
    let order = day.get(..shared)?.cmp(other.get(..shared)?);
    let is_undecided = order.is_eq() && one.len() != two.len();
    (!is_undecided).then_some(order)
}

fn call<'a>(
    function: Function,
    arguments: &[Expression],
    focus: &[Item<'a>],
    context: Element<'a>,
    around: Surroundings<'a>,
) -> Items<'a> {
    // An argument that is evaluated for each item, with the item as its focus.
    let of = |item: &Item<'a>| {
        arguments
            .first()
            .map(|argument| evaluate(argument, std::slice::from_ref(item), context, around))
    };
    // An argument that is evaluated where the call stands.
    let argument = || {
        arguments
            .first()
            .map(|argument| evaluate(argument, &[Item::Element(context)], context, around))
            .unwrap_or_default()
    };
    let text_of_argument =
        || argument().first().and_then(|item| item.text().map(str::to_owned)).unwrap_or_default();
    let kind = match arguments.first() {
        Some(Expression::Kind(kind)) => kind.as_str(),
        _ => "",
    };
    let holds = |item: &Item<'a>| of(item).is_some_and(|items| truth(&items) == Some(true));
    let yes = |truth: bool| vec![Item::Truth(truth)];
    let one_text = |say: &dyn Fn(&str, &str) -> bool| match focus {
        [item] => one_truth(item.text().map(|text| say(text, &text_of_argument()))),
        _ => Vec::new(),
    };
    match function {
        Function::All => yes(focus.iter().all(holds)),
        Function::AllFalse => {
            yes(focus.iter().all(|item| truth(std::slice::from_ref(item)) == Some(false)))
        }
        Function::Contains => one_text(&|text, part| text.contains(part)),
        #[allow(clippy::cast_precision_loss, reason = "collections are small")]
        Function::Count => vec![Item::Number(focus.len() as f64)],
        Function::Empty => yes(focus.is_empty()),
        Function::Exists if arguments.is_empty() => yes(!focus.is_empty()),
        Function::Exists => yes(focus.iter().any(holds)),
        Function::Extension => {
            let url = text_of_argument();
            let mut extensions = Vec::new();
            for item in focus {
                item.member("extension", &mut extensions);
            }
            let is_it = |item: &Item<'a>| match item {
                Item::Element(element) => {
                    element.value.get("url").and_then(Value::as_str) == Some(&url)
                }
                _ => false,
            };
            extensions.into_iter().filter(is_it).collect()
        }
        Function::First => focus.first().cloned().into_iter().collect(),
        Function::HasValue => yes(matches!(focus, [item] if item.plain().is_some())),
        Function::Intersect => {
            let other = evaluate_where_it_stands(arguments, focus, context, around);
            focus.iter().filter(|item| other.iter().any(|it| it.is_same(item))).cloned().collect()
        }
        Function::Is => match focus {
            [item] => yes(item.is_of(kind)),
            _ => Vec::new(),
        },
        Function::IsDistinct => {
            let is_new = |at: usize, item: &Item<'a>| {
                !focus.iter().take(at).any(|earlier| earlier.is_same(item))
            };
            let texts: Option<Vec<&str>> = focus.iter().map(Item::text).collect();
            yes(match texts {
                // Many addresses of a Bundle: by order, not each with each.
                Some(mut texts) => {
                    texts.sort_unstable();
                    texts.windows(2).all(|pair| pair.first() != pair.last())
                }
                None => focus.iter().enumerate().all(|(at, item)| is_new(at, item)),
            })
        }
        Function::Not => one_truth(truth(focus).map(|truth| !truth)),
        Function::OfType => focus.iter().filter(|item| item.is_of(kind)).cloned().collect(),
        Function::Resolve => focus
            .iter()
            .filter_map(|item| match item {
                Item::Element(element) => {
                    let address = element.value.get("reference").unwrap_or(element.value);
                    around.links.find(address.as_str()?, around.scope)
                }
                _ => None,
            })
            .map(|found| Item::Element(Element::new(found.resource)))
            .collect(),
        Function::Select => focus.iter().filter_map(of).flatten().collect(),
        Function::StartsWith => one_text(&|text, part| text.starts_with(part)),
        Function::Substring => {
            let from = match argument().first().and_then(Item::plain) {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a number of a rule of ours"
                )]
                Some(Plain::Number(from)) => from as usize,
                _ => 0,
            };
            let cut = |text: &str| text.chars().skip(from).collect::<String>();
            let text = focus.first().and_then(|item| item.text().map(cut));
            text.map(|text| Item::Text(Cow::Owned(text))).into_iter().collect()
        }
        Function::ToText => match focus {
            [item] => match item.plain() {
                Some(Plain::Text(text)) => vec![Item::Text(Cow::Owned(text.to_owned()))],
                Some(Plain::Number(_)) => match item {
                    Item::Element(element) => {
                        vec![Item::Text(Cow::Owned(element.value.to_string()))]
                    }
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            },
            _ => Vec::new(),
        },
        Function::Where => focus.iter().filter(|item| holds(item)).cloned().collect(),
    }
}

fn evaluate_where_it_stands<'a>(
    arguments: &[Expression],
    focus: &[Item<'a>],
    context: Element<'a>,
    around: Surroundings<'a>,
) -> Items<'a> {
    arguments.first().map(|argument| evaluate(argument, focus, context, around)).unwrap_or_default()
}
