//! Tokens as they would be written in a source file, on one line.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// Returns `tokens` as code, with the spaces that rustfmt puts.
pub fn code(tokens: &impl ToTokens) -> String {
    let mut line = Line::default();
    line.add(tokens.to_token_stream());
    line.text.trim_end_matches(',').to_owned()
}

#[derive(Default)]
struct Line {
    text: String,
    /// Whether the next token needs a space before it, whatever it is.
    is_apart: bool,
    /// The characters of an operator that is not complete.
    operator: String,
}

impl Line {
    fn add(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => self.word(&ident.to_string()),
                TokenTree::Literal(literal) => self.word(&literal.to_string()),
                TokenTree::Punct(punct) => {
                    self.operator.push(punct.as_char());
                    if punct.spacing() == Spacing::Alone || punct.as_char() == '\'' {
                        let operator = std::mem::take(&mut self.operator);
                        self.operator(&operator);
                    }
                }
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::Brace => (" {", "}"),
                        Delimiter::None => ("", ""),
                    };
                    let is_part = |c: char| c.is_alphanumeric() || c == '_';
                    let before = self.text.trim_end_matches(is_part);
                    let last = &self.text[before.len()..];
                    self.is_apart |= before.ends_with('\'') // a lifetime
                        || matches!(last, "mut" | "dyn" | "for" | "in" | "const");
                    self.open(open);
                    self.add(group.stream());
                    let used = self.text.trim_end_matches([',', ' ']).len();
                    self.text.truncate(used);
                    self.is_apart = false;
                    self.text.push_str(close);
                }
            }
        }
    }

    fn open(&mut self, text: &str) {
        if std::mem::take(&mut self.is_apart) {
            self.text.push(' ');
        }
        self.text.push_str(text);
    }

    fn word(&mut self, word: &str) {
        let is_glued = |c: char| c.is_alphanumeric() || matches!(c, '_' | ')' | ']' | '>');
        self.is_apart |= self.text.ends_with(is_glued);
        self.open(word);
    }

    fn operator(&mut self, operator: &str) {
        match operator {
            "->" | "=" | "+" | "=>" | "==" | "|" => {
                self.is_apart = true;
                self.open(operator);
                self.is_apart = true;
            }
            "," | ":" | ";" => {
                self.text.push_str(operator);
                self.is_apart = true;
            }
            "'" | "&" | "*" | "#" | "?" if self.text.ends_with(|c: char| c.is_alphanumeric()) => {
                self.is_apart = true;
                self.open(operator);
            }
            // A `>` that closes may stand before another operator.
            _ => match operator.strip_prefix('>') {
                Some(rest) if !rest.is_empty() && rest != "=" => {
                    self.text.push('>');
                    self.operator(rest);
                }
                _ => self.open(operator),
            },
        }
    }
}

#[test]
fn code_is_written_as_rustfmt_writes_it() {
    for line in [
        "fn f<'a, T: ?Sized + 'a>(&'a mut self, fd: RawFd) -> io::Result<(u8, [u8; 2])>",
        "impl<S> Handler<S> for Box<dyn FnMut(&mut Context<'_, S>) -> io::Result<Next> + Send>",
        "const fn new(index: u32) -> Self where T: Clone, U: AsRef<[u8]>",
        "fn g(data: &mut [u8], list: &[&str], f: impl FnOnce() + 'static) -> Option<Option<T>>",
        "fn get_mut(self, to: *const u8) -> &'static [u8]",
        "type T = Server<Tcp, Inline>",
    ] {
        let tokens: TokenStream = line.parse().unwrap();
        assert_eq!(code(&tokens), line);
    }
}
