package mysql

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/vipward/vipward/sdk"
)

// channel is one source that the server replicates from. A server has one, named "", or several.
type channel struct {
	name, source     string
	io, sql          string // the threads: Yes, No; of io also Connecting and others
	ioError, sqlText string // ": error 1045: …", or nothing
	lag              time.Duration
	lagKnown         bool
}

// channels asks for them in the words that the server knows: MariaDB for all of its sources, MySQL from 8.0.22 on for replicas.
func (s *session) channels(ctx context.Context, v variables) ([]channel, error) {
	queries := []string{"SHOW REPLICA STATUS", "SHOW SLAVE STATUS"}
	if v.mariaDB() {
		queries = []string{"SHOW ALL SLAVES STATUS"}
	}
	var rows []map[string]string
	var err error
	for _, query := range queries {
		rows, err = s.table(ctx, query)
		if e := (*mysql.MySQLError)(nil); !errors.As(err, &e) || e.Number != syntaxError {
			break
		}
	}
	var all []channel
	for _, row := range rows {
		all = append(all, channelOf(row))
	}
	return all, err
}

// channelOf reads a row of either kind.
func channelOf(row map[string]string) channel {
	either := func(names ...string) string {
		for _, name := range names {
			if v, ok := row[name]; ok {
				return v
			}
		}
		return ""
	}
	c := channel{
		name:    either("Channel_Name", "Connection_name"),
		source:  either("Source_Host", "Master_Host") + ":" + either("Source_Port", "Master_Port"),
		io:      either("Replica_IO_Running", "Slave_IO_Running"),
		sql:     either("Replica_SQL_Running", "Slave_SQL_Running"),
		ioError: lastError(row["Last_IO_Errno"], row["Last_IO_Error"]),
		sqlText: lastError(row["Last_SQL_Errno"], row["Last_SQL_Error"]),
	}
	seconds, err := strconv.ParseInt(either("Seconds_Behind_Source", "Seconds_Behind_Master"), 10, 64)
	c.lag, c.lagKnown = time.Duration(seconds)*time.Second, err == nil
	return c
}

// title is the channel in an operator's words.
func (c channel) title() string {
	if c.name == "" {
		return "replication"
	}
	return fmt.Sprintf("replication %q", c.name)
}

// judgeReplication holds all channels against what is configured.
func (c *Config) judgeReplication(v variables, channels []channel, f figures) sdk.Result {
	if len(channels) == 0 {
		switch {
		case !c.AllowWriter:
			return sdk.Failf("no replication is configured, want a replica")
		case v.on("read_only"):
			return sdk.Failf("no replication is configured and read_only is ON, want a replica or a writer")
		}
		return sdk.Pass()
	}
	var lost []string
	for _, ch := range channels {
		if ch.lagKnown {
			f["lag_seconds"] = max(f["lag_seconds"], ch.lag.Seconds())
		}
		why, loss := c.judgeChannel(ch)
		if loss && c.OnSourceLoss == "warn" {
			lost = append(lost, why)
		} else if why != "" {
			return sdk.Failf("%s", why)
		}
	}
	if len(lost) > 0 {
		return sdk.Warnf("%s", strings.Join(lost, "; "))
	}
	return sdk.Pass()
}

// judgeChannel says what is wrong with a channel, and whether it is only that the source is not there.
func (c *Config) judgeChannel(ch channel) (why string, loss bool) {
	switch {
	case ch.sql != "Yes":
		return fmt.Sprintf("%s stopped: SQL thread %s%s", ch.title(), ch.sql, ch.sqlText), false
	case ch.io == "No":
		return fmt.Sprintf("%s stopped: IO thread No%s", ch.title(), ch.ioError), false
	case c.MaxLag > 0 && ch.lagKnown && ch.lag > c.MaxLag:
		return fmt.Sprintf("%s lags %v behind, limit %v", ch.title(), ch.lag, c.MaxLag), false
	case ch.io != "Yes":
		return fmt.Sprintf("%s is not connected to %s: IO thread %s%s", ch.title(), ch.source, ch.io, ch.ioError), true
	case c.MaxLag > 0 && !ch.lagKnown:
		return ch.title() + " does not say how far it lags behind", false
	}
	return "", false
}
