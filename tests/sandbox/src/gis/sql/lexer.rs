//! Cuts a condition into words, numbers, texts and signs.

use std::iter::Peekable;
use std::str::Chars;

use super::SqlError;

/// A piece of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A keyword or a field name.
    Word(String),
    /// A field name in double quotes, which is never a keyword.
    Quoted(String),
    /// A number without sign.
    Number(f64),
    /// A text in single quotes.
    Text(String),
    /// A comparison, parenthesis, comma, plus or minus.
    Sign(&'static str),
}

/// All tokens of a condition.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SqlError> {
    let mut characters = text.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(first) = characters.next() {
        let token = match first {
            blank if blank.is_whitespace() => continue,
            '\'' => Token::Text(quoted(&mut characters, '\'')?),
            '"' => Token::Quoted(quoted(&mut characters, '"')?),
            '<' if characters.next_if_eq(&'=').is_some() => Token::Sign("<="),
            '<' if characters.next_if_eq(&'>').is_some() => Token::Sign("<>"),
            '<' => Token::Sign("<"),
            '>' if characters.next_if_eq(&'=').is_some() => Token::Sign(">="),
            '>' => Token::Sign(">"),
            '=' => Token::Sign("="),
            '(' => Token::Sign("("),
            ')' => Token::Sign(")"),
            ',' => Token::Sign(","),
            '-' => Token::Sign("-"),
            '+' => Token::Sign("+"),
            digit if digit.is_ascii_digit() => number(digit, &mut characters)?,
            letter if letter.is_alphabetic() || letter == '_' => {
                let mut word = String::from(letter);
                while let Some(next) = characters.next_if(|next| next.is_alphanumeric() || *next == '_') {
                    word.push(next);
                }
                Token::Word(word)
            }
            other => return Err(SqlError::invalid(format!("unexpected character {other}"))),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

fn quoted(characters: &mut Peekable<Chars<'_>>, quote: char) -> Result<String, SqlError> {
    let mut text = String::new();
    while let Some(next) = characters.next() {
        if next != quote {
            text.push(next);
        } else if characters.next_if_eq(&quote).is_some() {
            text.push(quote);
        } else {
            return Ok(text);
        }
    }
    Err(SqlError::invalid("a quote is not closed"))
}

fn number(first: char, characters: &mut Peekable<Chars<'_>>) -> Result<Token, SqlError> {
    let mut digits = String::from(first);
    while let Some(next) = characters.next_if(|next| next.is_ascii_alphanumeric() || *next == '.') {
        digits.push(next);
    }
    let number = digits.parse().ok().filter(|number: &f64| number.is_finite());
    number.map(Token::Number).ok_or_else(|| SqlError::invalid(format!("{digits} is no number")))
}
