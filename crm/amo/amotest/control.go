package amotest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/dealpay/dealpay/tenants/standintest"
)

// order is the body of the account's own control routes; each uses what it needs. Ids may be
// strings or numbers.
type order struct {
	Lead        json.Number       `json:"lead"`
	Into        json.Number       `json:"into"`
	User        json.Number       `json:"user"`
	Pipeline    json.Number       `json:"pipeline"`
	Status      json.Number       `json:"status"`
	Responsible json.Number       `json:"responsible"`
	Name        *string           `json:"name"`
	Price       *float64          `json:"price"`
	Fields      map[string]string `json:"fields"`
	Subdomain   string            `json:"subdomain"`
	Signature   string            `json:"signature"` // of the disable hook: "", "bad" or "missing"
	URL         string            `json:"url"`
	Settings    map[string]any    `json:"settings"`
}

func number(n json.Number, otherwise int64) int64 {
	if v, err := n.Int64(); err == nil {
		return v
	}
	return otherwise
}

func pointer(n json.Number) *int64 {
	if v, err := n.Int64(); err == nil {
		return &v
	}
	return nil
}

// controlRoutes adds to the shared control API: leads/edit, leads/move, leads/delete, leads/merge, install,
// connect, uninstall, rename, revoke, unblock, token, pipeline, switches, archive.
func (a *Account) controlRoutes() http.Handler {
	mux := a.Control.Handler()
	do := func(path string, act func(context.Context, order) (any, error)) {
		mux.HandleFunc("POST /_control/"+path, func(w http.ResponseWriter, r *http.Request) {
			var in order
			if !standintest.Decode(w, r, &in) {
				return
			}
			out, err := act(r.Context(), in)
			switch {
			case err != nil:
				standintest.Answer(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
			case out == nil:
				standintest.Answer(w, http.StatusOK, map[string]bool{"ok": true})
			default:
				standintest.Answer(w, http.StatusOK, out)
			}
		})
	}
	a.controlLeads(do)
	a.controlInstall(do)
	mux.HandleFunc("POST /_control/switches", func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if standintest.Decode(w, r, &a.switches) {
			standintest.Answer(w, http.StatusOK, a.switches)
		}
	})
	mux.HandleFunc("GET /_control/archive", func(w http.ResponseWriter, _ *http.Request) {
		_, err := a.server.archive()
		out := map[string]any{"ok": err == nil}
		if err != nil {
			out["error"] = err.Error()
		}
		standintest.Answer(w, http.StatusOK, out)
	})
	return mux
}

func (a *Account) controlLeads(do func(string, func(context.Context, order) (any, error))) {
	do("leads/edit", func(_ context.Context, in order) (any, error) {
		return nil, a.Edit(number(in.User, ManagerID), in.Lead.String(), Edit{Name: in.Name, Price: in.Price, Fields: in.Fields,
			Pipeline: pointer(in.Pipeline), Status: pointer(in.Status), Responsible: pointer(in.Responsible)})
	})
	do("leads/move", func(_ context.Context, in order) (any, error) {
		return nil, a.Edit(number(in.User, ManagerID), in.Lead.String(),
			Edit{Pipeline: pointer(in.Pipeline), Status: pointer(in.Status)})
	})
	do("leads/delete", func(_ context.Context, in order) (any, error) { return nil, a.Delete(in.Lead.String()) })
	do("leads/merge", func(_ context.Context, in order) (any, error) {
		return nil, a.Merge(in.Lead.String(), in.Into.String())
	})
	do("pipeline", func(_ context.Context, in order) (any, error) {
		return nil, a.Automate(number(in.Pipeline, MainPipeline), number(in.Status, StageInvoice), in.URL, in.Settings)
	})
}

func (a *Account) controlInstall(do func(string, func(context.Context, order) (any, error))) {
	do("install", func(ctx context.Context, _ order) (any, error) { return nil, a.Install(ctx, nil) })
	do("connect", func(ctx context.Context, in order) (any, error) {
		return nil, a.Connect(ctx, nil, number(in.User, AdminID))
	})
	do("uninstall", func(ctx context.Context, in order) (any, error) { return nil, a.Uninstall(ctx, in.Signature) })
	do("rename", func(_ context.Context, in order) (any, error) {
		a.Rename(in.Subdomain)
		return map[string]string{"host": a.Referer()}, nil
	})
	do("revoke", func(context.Context, order) (any, error) {
		a.RevokeTokens()
		return nil, nil
	})
	do("unblock", func(context.Context, order) (any, error) {
		a.server.limiter.reset()
		return nil, nil
	})
	do("token", func(_ context.Context, in order) (any, error) {
		id := number(in.User, AdminID)
		return map[string]string{"access_token": a.TokenFor(id), "one_time_token": a.OneTimeToken(id)}, nil
	})
}
