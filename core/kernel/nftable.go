package kernel

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// tableEvery is how often a table is made anew, since a reload of a firewall may have flushed it.
const tableEvery = 30 * time.Second

// TableOptions are what an applier of a [Table] needs.
type TableOptions struct {
	// Logger gets what an operator should know. Required.
	Logger *slog.Logger
	// Report is called by Run's goroutine when the error has changed, with an empty text for none. It must not block. Required.
	Report func(reason string)
}

// Table keeps a table of nftables, of the family inet, as wished for: in each of its chains the rules of each wish. Nobody else's
// table is touched, and where nothing is wished for, there is none.
type Table[T comparable] struct {
	name   string
	chains []nftables.Chain
	rules  func(T) [][]expr.Any

	opt  TableOptions
	wish *mailbox[[]T]
	told string // the last error reported
}

func newTable[T comparable](name string, opt TableOptions, rules func(T) [][]expr.Any, chains ...nftables.Chain) *Table[T] {
	return &Table[T]{name: name, chains: chains, rules: rules, opt: opt, wish: newMailbox[[]T]()}
}

// Set replaces the wish. It never blocks. The kernel is not touched before the first wish that is not empty, unless a former
// run has left a table.
func (t *Table[T]) Set(want []T) { t.wish.put(want) }

// Wait returns when everything wished before it has been tried once.
func (t *Table[T]) Wait(ctx context.Context) error { return t.wish.wait(ctx) }

// Run applies the wishes until ctx ends. The last one then stays in force.
func (t *Table[T]) Run(ctx context.Context) error {
	timer := time.NewTicker(tableEvery)
	defer timer.Stop()
	var want []T
	var taken uint64
	made := false // there is a table of ours
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.wish.changed:
			old, first := want, taken == 0
			want, taken = t.wish.take()
			made = made || first && t.exists() // a former run was killed
			if !first && slices.Equal(old, want) {
				t.wish.finish(taken)
				continue
			}
		case <-timer.C:
		}
		if made || len(want) > 0 {
			made = t.apply(want, made)
		}
		if taken > 0 {
			t.wish.finish(taken)
		}
	}
}

// apply tells whether there is a table now.
func (t *Table[T]) apply(want []T, made bool) bool {
	reason := ""
	err := t.replace(want)
	if err != nil {
		reason = fmt.Sprintf("%v; the next try is in %v", err, tableEvery)
		t.opt.Logger.Debug("replace a table of nftables", "error", err)
	}
	if reason != t.told {
		t.told = reason
		t.opt.Report(reason)
	}
	if err != nil {
		return made
	}
	return len(want) > 0
}

// exists tells whether there is a table of that name. Where the kernel has no nftables, there is none.
func (t *Table[T]) exists() bool {
	c, err := nftables.New()
	if err != nil {
		return false
	}
	found, err := c.ListTableOfFamily(t.name, nftables.TableFamilyINet)
	return err == nil && found != nil
}

// replace puts a table in the place of the one before, in one transaction; no wishes leave none.
func (t *Table[T]) replace(want []T) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: t.name})
	c.DelTable(table) // it is there now in any case
	if len(want) > 0 {
		c.AddTable(table)
		for _, chain := range t.chains {
			chain.Table = table
			c.AddChain(&chain)
			for _, w := range want {
				for _, e := range t.rules(w) {
					c.AddRule(&nftables.Rule{Table: table, Chain: &chain, Exprs: e})
				}
			}
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("replace the table inet %s of nftables: %w", t.name, err)
	}
	return nil
}
