package mysql

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
	access.Question

	Port         uint16             `vipward:"port" min:"1" doc:"Port to connect to. Default: the target's own, or 3306."`
	Address      string             `vipward:"address" doc:"Where to connect for a check of the node itself: HOST, HOST:PORT, or the absolute path of a socket."`
	User         string             `vipward:"user,required" doc:"User to log in as."`
	Password     sdk.Secret         `vipward:"password" doc:"Password of the user."`
	PasswordFile string             `vipward:"password_file" doc:"File that holds the password; read for each run."`
	Database     string             `vipward:"database" doc:"Database to use."`
	ReadOnly     string             `vipward:"read_only" one_of:"on,off" doc:"What read_only must be."`
	Role         string             `vipward:"role" one_of:"writer,reader" doc:"writer: read_only and super_read_only are off. reader: a replica that replicates."`
	AllowWriter  bool               `vipward:"allow_writer" doc:"A reader may be a server that replicates from nobody and that is not read-only."`
	Replication  bool               `vipward:"replication" doc:"The server must be a replica that replicates, all channels of it."`
	MaxLag       time.Duration      `vipward:"max_lag" min:"1s" doc:"How far a replica may lag behind. Default: any."`
	OnSourceLoss string             `vipward:"on_source_loss" default:"fail" one_of:"fail,warn" doc:"What it means for a replica that it cannot reach its source."`
	MaxShare     int                `vipward:"max_connections_percent" min:"1" max:"100" doc:"Share of max_connections that may be in use. Default: any."`
	Galera       *Galera            `vipward:"galera,block" doc:"The server must be a synced node of a Galera cluster."`
	TLS          *tlsclient.Options `vipward:"tls,block" doc:"Speak TLS, or fail."`

	tls *tls.Config
}

// Galera is the block galera.
type Galera struct {
	Donor   bool `vipward:"donor" doc:"A node that feeds another one (state Donor/Desynced) passes, too."`
	MinSize int  `vipward:"min_size" min:"1" doc:"Nodes that the cluster must have. Default: any number."`
}

// Validate reports what the attributes do not allow together.
func (c *Config) Validate() error {
	var all []error
	wrong := func(is bool, attribute, why string) {
		if is {
			all = append(all, sdk.PathError(errors.New(why), attribute))
		}
	}
	wrong(c.MaxLag > 0 && !c.replicates(), "max_lag", `only a replica lags: set role = "reader" or replication = true`)
	wrong(c.AllowWriter && c.Role != "reader", "allow_writer", `it is for role = "reader"`)
	wrong(c.AllowWriter && c.Replication, "allow_writer", "a writer does not replicate, which replication = true wants")
	wrong(c.ReadOnly == "on" && c.Role == "writer", "read_only", "a writer is not read-only")
	all = append(all, c.Question.Validate(), sdk.PathError(access.CheckAddress(c.Address), "address"), access.CheckPassword(c.Password, c.PasswordFile), c.TLS.Validate("tls"))
	return errors.Join(all...)
}

// Open compiles the expression and reads the certificates.
func (c *Config) Open(context.Context) error {
	c.Prepare()
	if c.TLS == nil {
		return nil
	}
	var err error
	c.tls, err = c.TLS.Config()
	return err
}

// replicates tells whether the server's replication is looked at.
func (c *Config) replicates() bool { return c.Replication || c.Role == "reader" }

// pings tells whether there is nothing to do but to log in.
func (c *Config) pings() bool {
	return c.Query == "" && c.ReadOnly == "" && c.Role == "" && !c.Replication && c.MaxShare == 0 && c.Galera == nil
}
