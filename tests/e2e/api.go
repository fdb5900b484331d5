package e2e

import (
	"encoding/json"

	"github.com/vipward/vipward/tests/lab/router"
)

// api reads a daemon's status and metrics.
type api struct{ *router.API }

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

func (a api) status() (s status, err error) {
	text, err := a.Get("/v1/status")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
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
