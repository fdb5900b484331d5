//go:build linux

package nginx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/command"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block of the checker.
type Config struct {
	URL     string             `vipward:"url" doc:"Page of stub_status, as http://127.0.0.1/nginx_status. Of a real server only host, path and port without one of its own count."`
	Host    string             `vipward:"host" doc:"Virtual host of the page. Default: the host of url."`
	PIDFile string             `vipward:"pid_file" doc:"File with the process id of the master, which must run. Default: /run/nginx.pid, where there is neither url nor listen."`
	Process string             `vipward:"process" default:"nginx" doc:"Name that the process of pid_file has."`
	Listen  []netip.AddrPort   `vipward:"listen" doc:"Addresses and ports that must take a connection."`
	TLS     *tlsclient.Options `vipward:"tls,block" doc:"Options of https for url."`

	MaxActive  int     `vipward:"max_active" min:"1" doc:"Most active connections. Default: any number."`
	MaxAccepts float64 `vipward:"max_accepts_per_second" min:"0" doc:"Most connections accepted in a second, on average since the run before. Default: any number."`

	TestConfig   bool          `vipward:"test_config" doc:"Test the configuration of nginx, and warn when it would not stand a restart."`
	TestCommand  []string      `vipward:"test_command" default:"[\"nginx\", \"-t\", \"-q\"]" doc:"Command of test_config. It is run without a shell."`
	TestInterval time.Duration `vipward:"test_interval" default:"1m" min:"1s" max:"24h" doc:"Time between two tests."`
	TestTimeout  time.Duration `vipward:"test_timeout" default:"10s" min:"100ms" max:"10m" doc:"Time limit of a test."`

	Restart *Restart `vipward:"restart,block" doc:"Restart nginx, once, when it does not answer, before it counts as failed."`

	state *opened
}

// Restart is the block restart.
type Restart struct {
	Command  []string      `vipward:"command,required" doc:"Program and its arguments, as [\"systemctl\", \"restart\", \"nginx\"]. It is run without a shell."`
	Timeout  time.Duration `vipward:"timeout" default:"10s" min:"100ms" max:"10m" doc:"After this time the command is killed with its process group."`
	PerHour  int           `vipward:"per_hour" default:"1" min:"1" max:"60" doc:"Most restarts within an hour."`
	StateDir string        `vipward:"state_dir" default:"/run/vipward" doc:"Directory of a file that keeps the times of the restarts, and two processes from restarting at once."`
}

// opened is what lives as long as the configuration.
type opened struct {
	tls       *tls.Config
	meter     meter
	tester    *tester    // nil without test_config
	restarter *restarter // nil without a block restart
}

// Validate reports what the tags cannot.
func (c *Config) Validate() error {
	var errs []error
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			err = fmt.Errorf(`%q is no URL: write "http://HOST/PATH" or "https://HOST/PATH"`, c.URL)
		}
		errs = append(errs, sdk.PathError(err, "url"))
	}
	for _, limit := range []struct {
		name string
		set  bool
	}{{"max_active", c.MaxActive > 0}, {"max_accepts_per_second", c.MaxAccepts > 0}} {
		if limit.set && c.URL == "" {
			errs = append(errs, sdk.PathError(errors.New("only the page of url tells how many connections there are"), limit.name))
		}
	}
	for i, a := range c.Listen {
		if a.Port() == 0 {
			errs = append(errs, sdk.PathError(fmt.Errorf("%v has no port", a), "listen", i))
		}
	}
	if c.TestConfig {
		errs = append(errs, command.Validate("test_command", c.TestCommand))
	}
	if c.Restart != nil {
		errs = append(errs, sdk.PathError(command.Validate("command", c.Restart.Command), "restart"))
	}
	return errors.Join(append(errs, c.TLS.Validate("tls"))...)
}

// Open reads the certificates and begins with empty counters.
func (c *Config) Open(context.Context) error {
	config, err := c.TLS.Config()
	if err != nil {
		return err
	}
	if c.URL == "" && c.PIDFile == "" && len(c.Listen) == 0 {
		c.PIDFile = "/run/nginx.pid" // where the packages of nginx and of Debian put it
	}
	c.state = &opened{tls: config}
	if c.TestConfig {
		c.state.tester = &tester{command: c.TestCommand, interval: c.TestInterval, timeout: c.TestTimeout}
	}
	if c.Restart != nil {
		c.state.restarter = newRestarter(c.Restart, c.state.tester)
	}
	return nil
}

// Close waits for the end of commands, each of which has a time limit: one that is killed half-way would leave nginx stopped.
func (c *Config) Close() error {
	c.state.tester.wait()
	c.state.restarter.wait()
	return nil
}

// ofThisNode is the first attribute that looks at this node, whatever the target; empty for none.
func (c *Config) ofThisNode() string {
	switch {
	case c.PIDFile != "":
		return "pid_file"
	case len(c.Listen) > 0:
		return "listen"
	case c.TestConfig:
		return "test_config"
	case c.Restart != nil:
		return "restart"
	}
	return ""
}
