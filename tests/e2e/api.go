package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"
)

// api reads a daemon's status from its socket, which is cheaper than the command line while a scenario waits.
type api struct{ client http.Client }

func newAPI(socket string) *api {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &api{http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// status is what the scenarios read of `vipward status --json`; the names of its keys are a promise to the world.
type status struct {
	Format     int
	Version    string
	Node       string
	ConfigHash string `json:"config_hash"`
	Ready      bool
	Instances  []instance
	Services   []service
	Plugins    []plugin
}

type instance struct {
	Name, State, Reason string
	Family              string
	EffectivePriority   int `json:"effective_priority"`
	Addresses           []struct {
		Address string
		Held    bool
	}
	Master struct {
		Address  string
		Priority int
	}
	Counters struct {
		BecameMaster int `json:"became_master"`
		Discarded    map[string]uint64
	}
}

type service struct {
	Name        string
	Up          bool
	RealServers []realServer `json:"real_servers"`
	Traffic     struct {
		Connections uint64
		InBytes     uint64 `json:"in_bytes"`
	}
}

type realServer struct {
	Address, State, Reason string
	EffectiveWeight        int `json:"effective_weight"`
}

type plugin struct {
	Name, Kind, State string
	Pid, Restarts     int
}

func (a *api) status() (status, error) {
	var s status
	resp, err := a.client.Get("http://vipward/v1/status")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("GET /v1/status: %s", resp.Status)
	}
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// server is a real server of the only service, by its address.
func (s status) server(address string) realServer {
	for _, v := range s.Services {
		for _, r := range v.RealServers {
			if r.Address == address {
				return r
			}
		}
	}
	return realServer{State: "missing"}
}
