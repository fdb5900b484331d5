package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block of the checker.
type Config struct {
	Port         uint16             `vipward:"port" min:"1" doc:"Port to connect to. Default: the target's own, or 6379."`
	Address      string             `vipward:"address" doc:"Where to connect for a check of the node itself: HOST, HOST:PORT, or the absolute path of a socket."`
	User         string             `vipward:"user" doc:"User to log in as. Default: the default user, where there is a password, or nobody."`
	Password     sdk.Secret         `vipward:"password" doc:"Password of the user."`
	PasswordFile string             `vipward:"password_file" doc:"File that holds the password; read for each run."`
	Role         string             `vipward:"role" one_of:"master,replica" doc:"Role that the server must have. A replica must have its link to the master."`
	MaxLag       time.Duration      `vipward:"max_lag" min:"1s" doc:"How long ago a replica may have heard of its master; more than the master's repl-ping-replica-period (10s). Default: any time."`
	OnSourceLoss string             `vipward:"on_source_loss" default:"fail" one_of:"fail,warn" doc:"What it means for a replica that its link to the master is down."`
	TLS          *tlsclient.Options `vipward:"tls,block" doc:"Speak TLS, or fail."`

	tls *tls.Config
}

// Validate reports what the attributes do not allow together.
func (c *Config) Validate() error {
	var lag, user error
	if c.MaxLag > 0 && c.Role != "replica" {
		lag = errors.New(`only a replica lags: set role = "replica"`)
	}
	if c.User != "" && c.Password == "" && c.PasswordFile == "" {
		user = errors.New("a user has a password: set password or password_file")
	}
	return errors.Join(
		sdk.PathError(lag, "max_lag"), sdk.PathError(user, "user"), sdk.PathError(access.CheckAddress(c.Address), "address"),
		access.CheckPassword(c.Password, c.PasswordFile), c.TLS.Validate("tls"))
}

// Open reads the certificates.
func (c *Config) Open(context.Context) error {
	if c.TLS == nil {
		return nil
	}
	var err error
	c.tls, err = c.TLS.Config()
	return err
}
