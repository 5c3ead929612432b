//! Reads a condition by recursive descent, resolving fields and checking types as it goes.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::SqlError;
use super::condition::{Comparison, Condition, Operand};
use super::lexer::{Token, tokens};
use super::literal::{Kind, Literal, date, interval, timestamp};
use crate::gis::field::{Field, FieldType};

/// How deep parentheses and NOTs may nest.
const DEEPEST: usize = 100;

/// What a condition may refer to.
#[derive(Debug, Clone, Copy)]
pub(in crate::gis) struct Schema<'a> {
    /// The layer's fields.
    pub(in crate::gis) fields: &'a [Field],
    /// Whether its dates have parts of a second.
    pub(in crate::gis) high_precision: bool,
    /// `CURRENT_TIMESTAMP`, in milliseconds since 1970.
    pub(in crate::gis) now: i64,
}

/// Reads a `where`.
pub(in crate::gis) fn parse(text: &str, schema: Schema<'_>) -> Result<Condition, SqlError> {
    let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable(), schema, depth: 0 };
    let condition = parser.condition()?;
    match parser.tokens.next() {
        None => Ok(condition),
        Some(token) => Err(SqlError::invalid(format!("unexpected {token:?}"))),
    }
}

struct Parser<'a> {
    tokens: Peekable<IntoIter<Token>>,
    schema: Schema<'a>,
    depth: usize,
}

impl Parser<'_> {
    fn take_word(&mut self, keyword: &str) -> bool {
        let matches =
            |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(keyword));
        self.tokens.next_if(matches).is_some()
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Sign(found) if *found == sign)).is_some()
    }

    fn expect_word(&mut self, keyword: &str) -> Result<(), SqlError> {
        if self.take_word(keyword) { Ok(()) } else { Err(SqlError::invalid(format!("{keyword} is missing"))) }
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), SqlError> {
        if self.take_sign(sign) { Ok(()) } else { Err(SqlError::invalid(format!("{sign} is missing"))) }
    }

    fn text(&mut self) -> Result<String, SqlError> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(text),
            _ => Err(SqlError::invalid("a text in single quotes is missing")),
        }
    }

    fn condition(&mut self) -> Result<Condition, SqlError> {
        let mut parts = vec![self.conjunction()?];
        while self.take_word("OR") {
            parts.push(self.conjunction()?);
        }
        Ok(single_or(parts, Condition::Or))
    }

    fn conjunction(&mut self) -> Result<Condition, SqlError> {
        let mut parts = vec![self.negation()?];
        while self.take_word("AND") {
            parts.push(self.negation()?);
        }
        Ok(single_or(parts, Condition::And))
    }

    fn negation(&mut self) -> Result<Condition, SqlError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SqlError::invalid("the condition nests too deep"));
        }
        let condition = if self.take_word("NOT") {
            Condition::Not(Box::new(self.negation()?))
        } else if self.take_sign("(") {
            let inner = self.condition()?;
            self.expect_sign(")")?;
            inner
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn predicate(&mut self) -> Result<Condition, SqlError> {
        let operand = self.operand()?;
        if self.take_word("IS") {
            let negated = self.take_word("NOT");
            self.expect_word("NULL")?;
            return Ok(negate_if(negated, Condition::IsNull(operand)));
        }
        let negated = self.take_word("NOT");
        if self.take_word("IN") {
            return Ok(negate_if(negated, self.list_of(operand)?));
        }
        if self.take_word("BETWEEN") {
            let low = self.comparable(&operand)?;
            self.expect_word("AND")?;
            let high = self.comparable(&operand)?;
            return Ok(negate_if(negated, Condition::Between(operand, low, high)));
        }
        if self.take_word("LIKE") {
            return Ok(negate_if(negated, self.like(operand)?));
        }
        if negated {
            return Err(SqlError::invalid("NOT stands where an operator should"));
        }
        let comparison = self.comparison()?;
        let right = self.operand()?;
        let (left, right) = agreed(operand, right)?;
        Ok(Condition::Compare(comparison, left, right))
    }

    fn list_of(&mut self, operand: Operand) -> Result<Condition, SqlError> {
        self.expect_sign("(")?;
        let mut literals = Vec::new();
        loop {
            match self.operand()? {
                Operand::Constant(literal) => literals.push(literal.into_kind(operand.kind())?),
                Operand::Field(name, _) => return Err(SqlError::invalid(format!("{name} is no constant"))),
            }
            if !self.take_sign(",") {
                break;
            }
        }
        self.expect_sign(")")?;
        Ok(Condition::In(operand, literals))
    }

    fn like(&mut self, operand: Operand) -> Result<Condition, SqlError> {
        if operand.kind() != Kind::Text {
            return Err(SqlError::invalid("LIKE needs a text field"));
        }
        let pattern = self.text()?;
        let escape = if self.take_word("ESCAPE") {
            let text = self.text()?;
            let mut characters = text.chars();
            let (Some(escape), None) = (characters.next(), characters.next()) else {
                return Err(SqlError::invalid("ESCAPE needs one character"));
            };
            Some(escape)
        } else {
            None
        };
        Ok(Condition::Like { operand, pattern, escape })
    }

    fn comparison(&mut self) -> Result<Comparison, SqlError> {
        match self.tokens.next() {
            Some(Token::Sign("=")) => Ok(Comparison::Equal),
            Some(Token::Sign("<>")) => Ok(Comparison::Unequal),
            Some(Token::Sign("<")) => Ok(Comparison::Less),
            Some(Token::Sign("<=")) => Ok(Comparison::AtMost),
            Some(Token::Sign(">")) => Ok(Comparison::Greater),
            Some(Token::Sign(">=")) => Ok(Comparison::AtLeast),
            _ => Err(SqlError::invalid("a comparison is missing")),
        }
    }

    /// Another operand of the same kind.
    fn comparable(&mut self, left: &Operand) -> Result<Operand, SqlError> {
        let right = self.operand()?;
        agreed(left.clone(), right).map(|(_, right)| right)
    }

    fn operand(&mut self) -> Result<Operand, SqlError> {
        match self.tokens.next() {
            Some(Token::Number(number)) => Ok(Operand::Constant(Literal::Number(number))),
            Some(Token::Sign("-")) => match self.tokens.next() {
                Some(Token::Number(number)) => Ok(Operand::Constant(Literal::Number(-number))),
                _ => Err(SqlError::invalid("a minus needs a number")),
            },
            Some(Token::Text(text)) => Ok(Operand::Constant(Literal::Text(text))),
            Some(Token::Quoted(name)) => self.field(&name),
            Some(Token::Word(word)) => self.word(&word),
            Some(token) => Err(SqlError::invalid(format!("unexpected {token:?}"))),
            None => Err(SqlError::invalid("the condition ends too early")),
        }
    }

    fn word(&mut self, word: &str) -> Result<Operand, SqlError> {
        let literal = match word.to_ascii_uppercase().as_str() {
            "TIMESTAMP" => timestamp(&self.text()?, self.schema.high_precision)?,
            "DATE" => date(&self.text()?)?,
            "CURRENT_TIMESTAMP" => Literal::Instant(self.schema.now),
            "CURRENT_DATE" => Literal::Instant(self.schema.now.div_euclid(86_400_000) * 86_400_000),
            "NULL" | "AND" | "OR" | "NOT" | "IN" | "IS" | "LIKE" | "BETWEEN" => {
                return Err(SqlError::invalid(format!("{word} stands where a value should")));
            }
            _ => return self.field(word),
        };
        self.shifted(literal).map(Operand::Constant)
    }

    /// An instant plus or minus an interval.
    fn shifted(&mut self, literal: Literal) -> Result<Literal, SqlError> {
        let sign = if self.take_sign("-") {
            -1
        } else if self.take_sign("+") {
            1
        } else {
            return Ok(literal);
        };
        self.expect_word("INTERVAL")?;
        let text = self.text()?;
        self.expect_word("DAY")?;
        let to_second = self.take_word("TO");
        if to_second {
            self.expect_word("SECOND")?;
        }
        let by = interval(&text, to_second)?;
        match literal {
            Literal::Instant(instant) => instant
                .checked_add(sign * by)
                .map(Literal::Instant)
                .ok_or_else(|| SqlError::invalid("INTERVAL is too long")),
            _ => Err(SqlError::invalid("INTERVAL needs an instant")),
        }
    }

    fn field(&self, name: &str) -> Result<Operand, SqlError> {
        let field = self.schema.fields.iter().find(|field| field.is_named(name));
        let field = field.ok_or_else(|| SqlError::UnknownField(name.to_owned()))?;
        let kind = match field.field_type {
            FieldType::Text => Kind::Text,
            FieldType::Date => Kind::Instant,
            FieldType::GlobalId => Kind::GlobalId,
            FieldType::ObjectId
            | FieldType::SmallInteger
            | FieldType::Integer
            | FieldType::BigInteger
            | FieldType::Double => Kind::Number,
        };
        Ok(Operand::Field(field.name.clone(), kind))
    }
}

/// Both operands, made to agree in kind.
fn agreed(left: Operand, right: Operand) -> Result<(Operand, Operand), SqlError> {
    match (left, right) {
        (Operand::Constant(literal), field @ Operand::Field(..)) => {
            Ok((Operand::Constant(literal.into_kind(field.kind())?), field))
        }
        (left, Operand::Constant(literal)) => {
            let literal = literal.into_kind(left.kind())?;
            Ok((left, Operand::Constant(literal)))
        }
        (left, right) if left.kind() == right.kind() => Ok((left, right)),
        _ => Err(SqlError::invalid("the types of a comparison do not agree")),
    }
}

fn negate_if(negated: bool, condition: Condition) -> Condition {
    if negated { Condition::Not(Box::new(condition)) } else { condition }
}

fn single_or(mut parts: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}
