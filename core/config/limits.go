package config

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The parser and the evaluator recurse, and a goroutine whose stack overflows takes the process with it. Depth is therefore
// bounded before anything is parsed, by the tokens alone.
const (
	maxFile      = 1 << 20 // bytes
	maxDepth     = 100     // brackets and templates within one another
	maxNumber    = 100     // characters
	maxOperators = 1000    // in one expression or template: each can add one level to its tree
)

// checkLimits refuses a file that could exhaust the stack.
func checkLimits(src []byte, name string) hcl.Diagnostics {
	start := hcl.Pos{Line: 1, Column: 1}
	if len(src) > maxFile {
		return tooMuch(hcl.Range{Filename: name, Start: start, End: start}, "the file is larger than %d bytes", maxFile)
	}
	if !utf8.Valid(src) {
		return notText(src, name)
	}
	if isPlain(src) {
		return nil
	}
	return checkTokens(src, name)
}

// notText refuses a file that is none, in one sentence: to the lexer each of its bytes is another fault.
func notText(src []byte, name string) hcl.Diagnostics {
	at := hcl.Pos{Line: 1, Column: 1}
	for rest := src; ; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size <= 1 {
			break
		}
		if at.Column++; r == '\n' {
			at.Line, at.Column = at.Line+1, 1
		}
		at.Byte += size
		rest = rest[size:]
	}
	return hcl.Diagnostics{{
		Severity: hcl.DiagError, Summary: "the file is not UTF-8", Subject: &hcl.Range{Filename: name, Start: at, End: at},
		Detail: fmt.Sprintf("Here it has the byte 0x%02x, which is part of no character. Save it as UTF-8; what is no text does not belong here.", src[at.Byte]),
	}}
}

func checkTokens(src []byte, name string) hcl.Diagnostics {
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos) // the parser reports what the lexer finds
	c := counter{operators: []int{0}, open: []hclsyntax.TokenType{hclsyntax.TokenOBrace}}
	for _, t := range tokens {
		if t.Type == hclsyntax.TokenNumberLit && isHuge(t.Bytes) {
			return tooMuch(t.Range, "a number is longer than %d characters, or has an exponent of more than 3 digits", maxNumber)
		}
		if t.Type == hclsyntax.TokenComment && bytes.HasSuffix(t.Bytes, []byte("\n")) {
			t.Type = hclsyntax.TokenNewline // its own is part of it
		}
		if text := c.count(t.Type); text != "" {
			return tooMuch(t.Range, "%s", text)
		}
	}
	return nil
}

// isPlain tells of a file that keeps within the limits, without a look at its tokens, which would take as long as the parser does. It is
// false for one that it does not understand: one with templates, heredocs, divisions or numbers with exponents, or with a long expression.
func isPlain(src []byte) bool {
	const long = maxOperators / 2                  // no expression has more operators than bytes, or not many
	var open []byte                                // brackets
	nested, line, expression, number := 0, 0, 0, 0 // how many of them are no braces; where the others began
	for k := 0; k < len(src); k++ {
		c := src[k]
		digit := c == '.' || '0' <= c && c <= '9'
		switch c {
		case '"':
			n := bytes.IndexAny(src[k+1:], "\"\n\\$%")
			if n < 0 || src[k+1+n] != '"' {
				return false
			}
			k += n + 1
		case '#':
			if n := bytes.IndexByte(src[k:], '\n'); n > 0 {
				k += n
				line = k
			}
		case '[', '(', '{':
			if open = append(open, c); c != '{' {
				if nested++; nested == 1 {
					expression = k
				}
			}
		case ']', ')', '}':
			top := len(open) - 1
			if top < 0 || c-open[top] > 2 { // ASCII has ( before ), and a character between the two of the others
				return false
			}
			if open = open[:top]; c != '}' {
				nested--
			}
		case '\n':
			line = k
		case '/', '<', '$', '%':
			return false
		case 'e', 'E':
			if k > 0 && '0' <= src[k-1] && src[k-1] <= '9' {
				return false
			}
		}
		if !digit {
			number = k
		}
		if len(open) >= maxDepth || k-line > long || nested > 0 && k-expression > long || k-number > maxNumber {
			return false
		}
	}
	return true
}

// isHuge tells whether a number would take long to print: 1e9999999 takes ten seconds.
func isHuge(literal []byte) bool {
	e := bytes.IndexAny(literal, "eE")
	return len(literal) > maxNumber || e >= 0 && len(bytes.TrimLeft(literal[e+1:], "+-0")) > 3
}

func tooMuch(r hcl.Range, format string, args ...any) hcl.Diagnostics {
	return hcl.Diagnostics{{
		Severity: hcl.DiagError,
		Summary:  "configuration too large or too deep",
		Detail:   fmt.Sprintf(format, args...) + ". Split it into several files of one directory, or move parts of it to locals.",
		Subject:  &r,
	}}
}

// counter follows the tokens of a file: the open brackets, and the operators of the expression at each level.
type counter struct {
	open      []hclsyntax.TokenType
	operators []int
}

// count takes one token and says what it is too much of.
func (c *counter) count(t hclsyntax.TokenType) string {
	top := len(c.open) - 1
	switch t {
	case hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOBrace, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		c.operators[top]++ // an index, a call, a %{if} lengthens what is around it
		c.open, c.operators = append(c.open, t), append(c.operators, 0)
	case hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCBrace, hclsyntax.TokenTemplateSeqEnd:
		if top > 0 {
			c.open, c.operators = c.open[:top], c.operators[:top]
		}
	case hclsyntax.TokenComma:
		c.operators[top] = 0
	case hclsyntax.TokenNewline:
		if c.open[top] == hclsyntax.TokenOBrace { // elsewhere an expression goes on
			c.operators[top] = 0
		}
	case hclsyntax.TokenIdent, hclsyntax.TokenNumberLit, hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit,
		hclsyntax.TokenOQuote, hclsyntax.TokenCQuote, hclsyntax.TokenOHeredoc, hclsyntax.TokenCHeredoc, hclsyntax.TokenComment:
	default:
		c.operators[top]++
	}
	switch {
	case len(c.open) > maxDepth:
		return fmt.Sprintf("brackets are nested more than %d deep", maxDepth)
	case c.operators[len(c.operators)-1] > maxOperators:
		return fmt.Sprintf("an expression has more than %d operators", maxOperators)
	}
	return ""
}
