package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/access"
	"github.com/vipward/vipward/sdk/tlsclient"
)

// Config is the block of the checker.
type Config struct {
	access.Question

	Port         uint16             `vipward:"port" min:"1" doc:"Port to connect to. Default: the target's own, or 5432."`
	Address      string             `vipward:"address" doc:"Where to connect for a check of the node itself: HOST, HOST:PORT, or the absolute path of a socket."`
	User         string             `vipward:"user,required" doc:"User to log in as."`
	Password     sdk.Secret         `vipward:"password" doc:"Password of the user."`
	PasswordFile string             `vipward:"password_file" doc:"File that holds the password; read for each run."`
	Database     string             `vipward:"database" default:"postgres" doc:"Database to connect to."`
	Role         string             `vipward:"role" one_of:"writer,reader" doc:"writer: not in recovery, and not read-only. reader: a standby that replicates."`
	AllowWriter  bool               `vipward:"allow_writer" doc:"A reader may be the primary, too."`
	MaxLag       time.Duration      `vipward:"max_lag" min:"1s" doc:"How far a standby may lag behind. Default: any."`
	OnSourceLoss string             `vipward:"on_source_loss" default:"fail" one_of:"fail,warn" doc:"What it means for a standby that it does not receive from a primary."`
	MaxShare     int                `vipward:"max_connections_percent" min:"1" max:"100" doc:"Share of max_connections that may be in use. Default: any."`
	TLS          *tlsclient.Options `vipward:"tls,block" doc:"Speak TLS, or fail."`

	tls  *tls.Config
	base *pgconn.Config
}

// Validate reports what the attributes do not allow together.
func (c *Config) Validate() error {
	var all []error
	wrong := func(is bool, attribute, why string) {
		if is {
			all = append(all, sdk.PathError(errors.New(why), attribute))
		}
	}
	wrong(c.MaxLag > 0 && c.Role != "reader", "max_lag", `only a standby lags: set role = "reader"`)
	wrong(c.AllowWriter && c.Role != "reader", "allow_writer", `it is for role = "reader"`)
	all = append(all, c.Question.Validate(), sdk.PathError(access.CheckAddress(c.Address), "address"), access.CheckPassword(c.Password, c.PasswordFile), c.TLS.Validate("tls"))
	return errors.Join(all...)
}

// Open compiles the expression, reads the certificates, and prepares what all connections have in common.
func (c *Config) Open(context.Context) error {
	c.Prepare()
	var err error
	if c.base, err = baseOf(c); err != nil || c.TLS == nil {
		return err
	}
	c.tls, err = c.TLS.Config()
	return err
}

// baseOf is the driver's configuration without what belongs to one connection. Nothing of it comes from the environment or
// from the files that a client on the command line reads.
func baseOf(c *Config) (*pgconn.Config, error) {
	base, err := pgconn.ParseConfig("host=unused sslmode=disable passfile=/dev/null user=unused target_session_attrs=any")
	if err != nil {
		return nil, errors.New("the driver cannot be configured") // its error may hold more than an operator should see
	}
	base.User, base.Database, base.Password = c.User, c.Database, ""
	base.RuntimeParams = map[string]string{"application_name": "vipward"}
	base.Fallbacks, base.ConnectTimeout = nil, 0
	base.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil } // the target's dialer does
	return base, nil
}

// pings tells whether there is nothing to do but to log in.
func (c *Config) pings() bool { return c.Query == "" && c.Role == "" && c.MaxShare == 0 }
