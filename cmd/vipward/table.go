package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// table lays text out in columns. Its rows may differ in length; the last cell of a row is not padded.
type table struct {
	rows  [][]cell
	color bool
}

// cell is a text with the color that it is shown in where there is color.
type cell struct{ text, sgr string }

// add appends a row of plain texts and cells.
func (t *table) add(cells ...any) {
	row := make([]cell, len(cells))
	for i, c := range cells {
		switch c := c.(type) {
		case cell:
			row[i] = c
		case string:
			row[i] = cell{text: c}
		}
		if row[i].text == "" {
			row[i].text = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// write puts the table out.
func (t *table) write(w io.Writer) error {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		for i, c := range row {
			text := c.text
			if t.color && c.sgr != "" {
				text = c.sgr + c.text + sgrReset
			}
			b.WriteString(text)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Terminal sequences (ECMA-48, select graphic rendition).
const (
	sgrGood, sgrBad, sgrOdd, sgrReset = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"
)

// state is a state in its color: good, bad, or in between.
func state(text string) cell {
	switch text {
	case "MASTER", "up", "running", "info":
		return cell{text, sgrGood}
	case "FAULT", "down", "stopped", "critical":
		return cell{text, sgrBad}
	case "BACKUP":
		return cell{text: text}
	}
	return cell{text, sgrOdd}
}
