//! Text of a rule to an expression: a scanner and a parser by precedence.

use super::{Environment, Expression, FUNCTIONS, Function, Operator};

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    /// In backticks: never a keyword.
    Quoted(String),
    Text(String),
    Number(f64),
    Mark(&'static str),
}

const MARKS: &[&str] =
    &["<=", ">=", "!=", "{}", "(", ")", ".", ",", "=", "<", ">", "|", "&", "%", "$this"];

fn scan(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    'outer: while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        for mark in MARKS {
            if let Some(after) = rest.strip_prefix(mark) {
                tokens.push(Token::Mark(mark));
                rest = after;
                continue 'outer;
            }
        }
        if first == '\'' || first == '`' {
            let inner = rest.get(1..).unwrap_or_default();
            let end = inner.find(first).ok_or("a text that does not end")?;
            let word = inner.get(..end).unwrap_or_default().to_owned();
            tokens.push(if first == '`' { Token::Quoted(word) } else { Token::Text(word) });
            rest = inner.get(end + 1..).unwrap_or_default();
            continue;
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = if first.is_ascii_digit() {
            rest.find(|c: char| !c.is_ascii_digit())
        } else {
            rest.find(|c: char| !is_part(c))
        };
        let end = end.unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        if word.is_empty() {
            return Err(format!("`{first}` is not known"));
        }
        tokens.push(match word.parse() {
            Ok(number) if first.is_ascii_digit() => Token::Number(number),
            _ => Token::Name(word.to_owned()),
        });
        rest = rest.get(end..).unwrap_or_default();
    }
    Ok(tokens)
}

/// Operators from loosest to tightest (FHIRPath, section Operator Precedence).
const PRECEDENCE: &[&[(&str, Operator)]] = &[
    &[("implies", Operator::Implies)],
    &[("or", Operator::Or), ("xor", Operator::Xor)],
    &[("and", Operator::And)],
    &[("in", Operator::In), ("contains", Operator::Contains)],
    &[("=", Operator::Equal), ("!=", Operator::NotEqual)],
    &[
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("|", Operator::Union)],
    &[("&", Operator::Concatenate)],
];

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { tokens: scan(text)?, at: 0 };
    let expression = parser.operation(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(expression),
        Some(more) => Err(format!("{more:?} after the end")),
    }
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, mark: &'static str) -> bool {
        let is_there = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), String> {
        if self.take(mark) { Ok(()) } else { Err(format!("`{mark}` before {:?}", self.peek())) }
    }

    fn operation(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = PRECEDENCE.get(level) else {
            return self.invocation();
        };
        let mut left = self.operation(level + 1)?;
        loop {
            let word = match self.peek() {
                Some(Token::Name(word)) => word.as_str(),
                Some(Token::Mark(mark)) => mark,
                _ => break,
            };
            let Some((_, operator)) = operators.iter().find(|(name, _)| *name == word) else {
                break;
            };
            self.at += 1;
            let right = self.operation(level + 1)?;
            left = Expression::Binary(*operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn invocation(&mut self) -> Result<Expression, String> {
        let mut left = self.term()?;
        while self.take(".") {
            let right = self.member()?;
            left = Expression::Dot(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn term(&mut self) -> Result<Expression, String> {
        let literal = match self.peek() {
            Some(Token::Text(text)) => Expression::Text(text.clone()),
            Some(Token::Number(number)) => Expression::Number(*number),
            Some(Token::Mark("{}")) => Expression::Nothing,
            Some(Token::Mark("$this")) => Expression::This,
            Some(Token::Mark("(")) => {
                self.at += 1;
                let inner = self.operation(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Some(Token::Mark("%")) => {
                self.at += 1;
                let Some(Token::Name(name)) = self.peek() else {
                    return Err("a name after `%`".to_owned());
                };
                Expression::Environment(match name.as_str() {
                    "resource" => Environment::Resource,
                    "rootResource" => Environment::RootResource,
                    "context" => Environment::Context,
                    "ucum" => Environment::Ucum,
                    other => return Err(format!("`%{other}` is not known")),
                })
            }
            _ => return self.member(),
        };
        self.at += 1;
        Ok(literal)
    }

    fn member(&mut self) -> Result<Expression, String> {
        let token = self.peek().cloned();
        self.at += 1;
        let name = match token {
            Some(Token::Quoted(name)) => return Ok(Expression::Member(name)),
            Some(Token::Name(name)) => name,
            other => return Err(format!("a name before {other:?}")),
        };
        if !self.take("(") {
            return Ok(match name.as_str() {
                "true" => Expression::Truth(true),
                "false" => Expression::Truth(false),
                _ => Expression::Member(name),
            });
        }
        let (_, function, least, most) = FUNCTIONS
            .iter()
            .find(|(known, ..)| *known == name)
            .ok_or_else(|| format!("`{name}()` is not known"))?;
        let mut arguments = Vec::new();
        while !self.take(")") {
            if !arguments.is_empty() {
                self.expect(",")?;
            }
            arguments.push(match (function, self.peek()) {
                (Function::Is | Function::OfType, Some(Token::Name(kind))) => {
                    let kind = Expression::Kind(kind.clone());
                    self.at += 1;
                    kind
                }
                _ => self.operation(0)?,
            });
        }
        if !(*least..=*most).contains(&arguments.len()) {
            return Err(format!("`{name}()` takes other arguments"));
        }
        Ok(Expression::Call(*function, arguments))
    }
}
