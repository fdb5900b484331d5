package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// variables are those of the server's system and status variables that are looked at, by name in lower case.
type variables map[string]string

// variables asks for them. SHOW works also on a node of Galera that refuses queries.
func (s *session) variables(ctx context.Context) (variables, error) {
	v := variables{}
	for _, query := range []string{
		"SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'read_only', 'super_read_only', 'max_connections')",
		"SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'wsrep_ready', 'wsrep_connected', " +
			"'wsrep_cluster_status', 'wsrep_cluster_size', 'wsrep_local_state', 'wsrep_local_state_comment')",
	} {
		rows, err := s.table(ctx, query)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			v[strings.ToLower(row["Variable_name"])] = row["Value"]
		}
	}
	return v, nil
}

func (v variables) mariaDB() bool { return strings.Contains(v["version"], "MariaDB") }

// on tells whether a variable is set: OFF, 0 and a variable that the server does not have are not.
func (v variables) on(name string) bool {
	value := strings.ToUpper(v[name])
	return value != "" && value != "OFF" && value != "0"
}

// report adds the figures.
func (v variables) report(f figures) {
	for name, figure := range map[string]string{
		"threads_connected": "connections", "max_connections": "max_connections",
		"wsrep_local_state": "galera_state", "wsrep_cluster_size": "galera_size",
	} {
		if n, err := strconv.ParseFloat(v[name], 64); err == nil {
			f[figure] = n
		}
	}
	f["read_only"] = 0
	if v.on("read_only") || v.on("super_read_only") {
		f["read_only"] = 1
	}
}

// judgeRole says what is wrong with read_only; nothing when all is well.
func (c *Config) judgeRole(v variables) string {
	switch {
	case c.Role == "writer" && v.on("super_read_only"):
		return "super_read_only is ON, want a writer"
	case c.Role == "writer" && v.on("read_only"):
		return "read_only is ON, want a writer"
	case c.ReadOnly == "off" && v.on("read_only"):
		return "read_only is ON, want OFF"
	case c.ReadOnly == "on" && !v.on("read_only"):
		return "read_only is OFF, want ON"
	}
	return ""
}

// judgeConnections says whether too many connections are in use.
func (c *Config) judgeConnections(v variables) string {
	used, err1 := strconv.Atoi(v["threads_connected"])
	limit, err2 := strconv.Atoi(v["max_connections"])
	if c.MaxShare == 0 || err1 != nil || err2 != nil || used*100 <= c.MaxShare*limit {
		return ""
	}
	return fmt.Sprintf("%d of %d connections are in use, more than %d %%", used, limit, c.MaxShare)
}

// States of a Galera node, as wsrep_local_state has them.
const (
	donor  = "2"
	synced = "4"
)

// judgeGalera says why the server is no node of a cluster that clients may use.
func (c *Config) judgeGalera(v variables) string {
	if c.Galera == nil {
		return ""
	}
	state, size := v["wsrep_local_state"], v["wsrep_cluster_size"]
	n, _ := strconv.Atoi(size) // 0 is fewer than any
	switch {
	case v["wsrep_cluster_status"] == "" || v["wsrep_cluster_status"] == "Disconnected" && !v.on("wsrep_connected") && n == 0:
		return "galera: the server is in no cluster"
	case v["wsrep_cluster_status"] != "Primary":
		return fmt.Sprintf("galera: the cluster status is %s, want Primary", v["wsrep_cluster_status"])
	case state != synced && (state != donor || !c.Galera.Donor):
		return fmt.Sprintf("galera: the state is %s (%s), want Synced (%s)", v["wsrep_local_state_comment"], state, synced)
	case !v.on("wsrep_ready"):
		return "galera: wsrep_ready is OFF"
	case n < c.Galera.MinSize:
		return fmt.Sprintf("galera: the cluster has %d nodes, want at least %d", n, c.Galera.MinSize)
	}
	return ""
}
