package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/vipward/vipward/sdk"
)

// stateQuery asks for all that is looked at, with functions and views that any user may use. A user without privileges sees of
// the WAL receiver that it is there, and no more.
const stateQuery = `SELECT pg_is_in_recovery(), current_setting('transaction_read_only'), current_setting('max_connections'),
	(SELECT sum(numbackends) FROM pg_stat_database),
	EXISTS (SELECT 1 FROM pg_stat_wal_receiver WHERE pid IS NOT NULL),
	pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0'), pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'),
	EXTRACT(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp()),
	CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END`

// state is what a server says of itself.
type state struct {
	recovery, readOnly bool
	used, limit        float64 // connections
	receiving          bool    // from a primary
	received, replayed float64 // positions in the log, in bytes; 0 where there is none
	behind             float64 // seconds since the last transaction that was replayed was made; 0 where there is none
	paused             bool    // replay, by an operator
}

// state asks for it.
func (s *session) state(ctx context.Context) (state, error) {
	row, err := s.row(ctx, stateQuery)
	if err != nil {
		return state{}, err
	}
	if len(row) != 9 {
		return state{}, fmt.Errorf("the server answers with %d columns, want 9", len(row))
	}
	is := func(i int) bool { return string(row[i]) == "t" || string(row[i]) == "on" }
	number := func(i int) float64 {
		n, _ := strconv.ParseFloat(string(row[i]), 64) // NULL is 0
		return n
	}
	return state{
		recovery: is(0), readOnly: is(1), limit: number(2), used: number(3), receiving: is(4),
		received: number(5), replayed: number(6), behind: max(0, number(7)), paused: is(8),
	}, nil
}

// lag is how far the standby is behind. Of a primary that has nothing to do, nothing comes, and the last transaction gets
// older and older: a standby that receives, and has replayed all that it received, does not lag. One that does not receive
// cannot know what it misses.
func (v state) lag() time.Duration {
	if !v.recovery || v.receiving && v.replayed >= v.received {
		return 0
	}
	return time.Duration(v.behind * float64(time.Second)).Round(time.Millisecond)
}

// lags tells whether the standby seems to lag too far.
func (c *Config) lags(v state) bool { return c.MaxLag > 0 && v.lag() > c.MaxLag }

// settled looks again at a standby that seems to lag, after a pause.
func (s *session) settled(ctx context.Context, before state) (state, error) {
	select {
	case <-time.After(lagPause):
	case <-ctx.Done():
		return before, ctx.Err()
	}
	now, err := s.state(ctx)
	return now.after(before), err
}

// after is the state, seen together with the one a moment before. The first transaction after a quiet hour makes the standby
// look an hour behind, until it is replayed: one that has replayed by now what it had received then is abreast.
func (v state) after(before state) state {
	if v.receiving && v.replayed >= before.received {
		v.received = v.replayed
	}
	return v
}

// report adds the figures.
func (v state) report(f figures) {
	f["connections"], f["max_connections"], f["in_recovery"] = v.used, v.limit, 0
	if v.recovery {
		f["in_recovery"], f["lag_seconds"], f["lag_bytes"] = 1, v.lag().Seconds(), max(0, v.received-v.replayed)
	}
}

// judgeState holds the state against what is configured.
func (c *Config) judgeState(v state) sdk.Result {
	switch {
	case c.Role == "writer" && v.recovery:
		return sdk.Failf("the server is in recovery, want a writer")
	case c.Role == "writer" && v.readOnly:
		return sdk.Failf("default_transaction_read_only is on, want a writer")
	case c.MaxShare > 0 && v.used*100 > float64(c.MaxShare)*v.limit:
		return sdk.Failf("%.0f of %.0f connections are in use, more than %d %%", v.used, v.limit, c.MaxShare)
	case c.Role != "reader":
		return sdk.Pass()
	case !v.recovery && !c.AllowWriter:
		return sdk.Failf("the server is not in recovery, want a standby")
	case !v.recovery:
		return sdk.Pass()
	}
	return c.judgeStandby(v)
}

func (c *Config) judgeStandby(v state) sdk.Result {
	lost := "the standby does not receive from a primary: no WAL receiver"
	switch {
	case v.receiving && c.lags(v) && v.paused:
		return sdk.Failf("replay is paused, and lags %v behind, limit %v", v.lag(), c.MaxLag)
	case v.receiving && c.lags(v):
		return sdk.Failf("replay lags %v behind, limit %v", v.lag(), c.MaxLag)
	case v.receiving:
		return sdk.Pass()
	case c.OnSourceLoss == "warn":
		return sdk.Warnf("%s", lost)
	}
	return sdk.Failf("%s", lost)
}
