package redis

import (
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
)

// info is the section replication of INFO, by name.
type info map[string]string

// infoOf reads it: a line for each, NAME:VALUE.
func infoOf(text string) info {
	i := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			i[name] = value
		}
	}
	return i
}

// number is a figure, and whether it is there.
func (i info) number(name string) (float64, bool) {
	n, err := strconv.ParseFloat(i[name], 64)
	return n, err == nil
}

// master is where a replica has its data from.
func (i info) master() string { return i["master_host"] + ":" + i["master_port"] }

// seconds are a figure as a time; negative for none.
func (i info) seconds(name string) time.Duration {
	n, ok := i.number(name)
	if !ok {
		return -1
	}
	return time.Duration(n) * time.Second
}

// report adds the figures.
func (i info) report(f figures) {
	if n, ok := i.number("connected_slaves"); ok {
		f["replicas"] = n
	}
	if i["role"] != "slave" {
		return
	}
	if ago := i.seconds("master_last_io_seconds_ago"); ago >= 0 {
		f["lag_seconds"] = ago.Seconds()
	}
	read, ok1 := i.number("slave_read_repl_offset")
	applied, ok2 := i.number("slave_repl_offset")
	if ok1 && ok2 {
		f["lag_bytes"] = max(0, read-applied)
	}
}

// judgeReplication holds the role and the link to the master against what is configured.
func (c *Config) judgeReplication(i info, f figures) sdk.Result {
	i.report(f)
	switch {
	case i["role"] != "master" && i["role"] != "slave":
		return sdk.Failf("INFO: the role is %s, want a %s", access.Excerpt(i["role"]), c.Role)
	case c.Role == "master" && i["role"] == "slave":
		return sdk.Failf("the server is a replica of %s, want a master", i.master())
	case c.Role == "master":
		return sdk.Pass()
	case i["role"] == "master":
		return sdk.Failf("the server is a master, want a replica")
	}
	return c.judgeLink(i)
}

func (c *Config) judgeLink(i info) sdk.Result {
	ago := i.seconds("master_last_io_seconds_ago")
	switch {
	case i["master_sync_in_progress"] == "1":
		return sdk.Failf("the replica is copying the data of %s, and has not all of it yet", i.master())
	case i["master_link_status"] != "up":
		down := "the link to the master " + i.master() + " is down"
		if since := i.seconds("master_link_down_since_seconds"); since >= 0 {
			down += " since " + since.String()
		}
		if c.OnSourceLoss == "warn" {
			return sdk.Warnf("%s", down)
		}
		return sdk.Failf("%s", down)
	case c.MaxLag > 0 && ago > c.MaxLag:
		return sdk.Failf("the replica has not heard of its master %s for %v, limit %v", i.master(), ago, c.MaxLag)
	}
	return sdk.Pass()
}
