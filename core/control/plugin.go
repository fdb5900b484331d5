package control

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"
)

// errUnknownPlugin says that no plugin of that name is in use.
var errUnknownPlugin = errors.New("unknown plugin")

func (s *Server) reloadPlugin(w http.ResponseWriter, r *http.Request) {
	if !s.decode(w, r, &struct{}{}) {
		return
	}
	name := r.PathValue("name")
	command := "plugin reload " + name
	if _, err := s.plugin(name); err != nil {
		s.finish(w, r, command, nil, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), commandLimit)
	defer cancel()
	began := time.Now()
	err := s.API.ReloadPlugin(ctx, name)
	p, gone := s.plugin(name)
	took := float64(time.Since(began).Microseconds()) / 1000
	s.finish(w, r, command, ReloadedPlugin{Name: name, PID: p.PID, Version: p.Version, TookMS: took}, errors.Join(err, gone))
}

// plugin is a plugin in use. For a name that none has, the error says what may have been meant.
func (s *Server) plugin(name string) (Plugin, error) {
	var names []string
	for _, p := range s.API.Status().Plugins {
		if p.Name == name {
			return p, nil
		}
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return Plugin{}, unknown(errUnknownPlugin, name, names)
}
