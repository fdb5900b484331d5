package fenceagent

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vipward/vipward/sdk/command"
)

// metadata is what an agent says of itself.
type metadata struct {
	Name       string `xml:"name,attr"`
	Parameters []struct {
		Name       string `xml:"name,attr"`
		Required   string `xml:"required,attr"`
		Deprecated string `xml:"deprecated,attr"`
		Obsoletes  string `xml:"obsoletes,attr"`
		Content    struct {
			Type    string `xml:"type,attr"`
			Default string `xml:"default,attr"`
			Options []struct {
				Value string `xml:"value,attr"`
			} `xml:"option"`
		} `xml:"content"`
	} `xml:"parameters>parameter"`
	Actions []struct {
		Name string `xml:"name,attr"`
	} `xml:"actions>action"`
}

// canonical is the name of a parameter as the metadata writes it: - and _ are the same to an agent.
func canonical(name string) string { return strings.ReplaceAll(strings.TrimSpace(name), "-", "_") }

// plug is the parameter that says which of the device's machines is meant; empty where the agent has none.
func (m *metadata) plug() string {
	found := ""
	for _, p := range m.Parameters {
		switch p.Name {
		case "plug":
			return p.Name
		case "port":
			found = p.Name
		}
	}
	return found
}

func (m *metadata) actions() []string {
	names := make([]string, len(m.Actions))
	for i, a := range m.Actions {
		names[i] = a.Name
	}
	return names
}

// known is the metadata of the agents that were asked already, since asking takes a third of a second for each. It outlives the
// configurations, as the file of an agent does.
var known = struct {
	sync.Mutex
	byFile map[fileID]*metadata
}{byFile: map[fileID]*metadata{}}

// fileID is one version of one file.
type fileID struct {
	path string
	time time.Time
	size int64
}

// metadataOf asks an agent for its metadata, once for each version of its file.
func metadataOf(ctx context.Context, agent string) (*metadata, error) {
	path, err := command.Find(agent)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	id := fileID{path, info.ModTime(), info.Size()}
	known.Lock()
	m := known.byFile[id]
	known.Unlock()
	if m != nil {
		return m, nil
	}
	a := invoke(ctx, path, "metadata", "action=metadata\n")
	if a.status != 0 {
		return nil, a.err()
	}
	if m, err = parse(a.stdout.String()); err != nil {
		return nil, fmt.Errorf("%s, action metadata: %w", agent, err)
	}
	known.Lock()
	known.byFile[id] = m
	known.Unlock()
	return m, nil
}

// parse reads the XML of the action metadata.
func parse(text string) (*metadata, error) {
	var m metadata
	if err := xml.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("no metadata as of a fence agent: %w", err)
	}
	if m.Name == "" || len(m.Actions) == 0 {
		return nil, errors.New("no metadata as of a fence agent: it has no name or no actions")
	}
	return &m, nil
}
