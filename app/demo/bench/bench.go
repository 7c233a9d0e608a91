// Package bench measures a running demo: every number beside a baseline of the same run. Work is seeded in the database;
// what is timed goes through the real processes.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/tenants"
)

// Site is a running demo and how to reach its parts.
type Site struct {
	App      string // base URL
	Stands   string // base URL of the stand-ins
	Client   *http.Client
	DB       *tenants.DB
	Database string // URL of the owner
	Redis    string // URL
	Ready    string // path of the ready file
	Tenants  []demo.Tenant
	Deals    int  // in every CRM stand-in
	Quick    bool // smaller numbers, for a look
}

// Result is one line of the table.
type Result struct {
	Name          string  `json:"name"`
	Value         float64 `json:"value"`
	Unit          string  `json:"unit"`
	Baseline      string  `json:"baseline"`
	BaselineValue float64 `json:"baseline_value"`
	Ratio         float64 `json:"ratio"`
	N             int     `json:"n"`
	Notes         string  `json:"notes"`
}

type measure struct {
	name string
	run  func(context.Context, *Site) (Result, error)
}

var measures = []measure{
	{"latency", latency},
	{"intake", intake},
	{"scale", scale},
	{"fairness", fairness},
	{"drain_bitrix24", drainOf("bitrix24")},
	{"drain_amocrm", drainOf("amocrm")},
	{"drain_kommo", drainOf("kommo")},
	{"card", card}, // before the portal is worn out
	{"drain_naive", drainNaive},
}

// Run measures everything, or what only names, prints a table to screen and a JSON line each to lines.
func Run(ctx context.Context, s *Site, only []string, screen, lines io.Writer) error {
	var failed []error
	_, _ = fmt.Fprintf(screen, "%-15s %12s %-4s %12s %7s %6s  %s\n", "name", "value", "", "baseline", "ratio", "n", "notes")
	for _, m := range measures {
		if len(only) > 0 && !slices.Contains(only, m.name) {
			continue
		}
		r, err := m.run(ctx, s)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", m.name, err))
			_, _ = fmt.Fprintf(screen, "%-15s failed: %v\n", m.name, err)
			continue
		}
		r.Name = m.name
		if r.BaselineValue != 0 {
			r.Ratio = round(r.Value / r.BaselineValue)
		}
		r.Value, r.BaselineValue = round(r.Value), round(r.BaselineValue)
		_, _ = fmt.Fprintf(screen, "%-15s %12.3f %-4s %12.3f %7.3f %6d  %s; %s\n", r.Name, r.Value, r.Unit, r.BaselineValue, r.Ratio, r.N, r.Baseline, r.Notes)
		if err := json.NewEncoder(lines).Encode(r); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

func round(v float64) float64 {
	const digits = 10_000
	return float64(int64(v*digits+0.5)) / digits
}

// percentile is the value below which this part of the sorted values lies.
func percentile(values []float64, part float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// of returns the seeded tenant of a CRM.
func (s *Site) of(system string) (demo.Tenant, tenants.ID, error) {
	for _, t := range s.Tenants {
		if t.CRM == system {
			id, err := tenants.Restore(t.ID)
			return t, id, err
		}
	}
	return demo.Tenant{}, tenants.ID{}, errors.New("no tenant of " + system)
}

func (s *Site) control(host, path string) string { return demo.Controls(s.Stands)[host] + path }

// call sends JSON and reads JSON; key is an API key or empty.
func (s *Site) call(ctx context.Context, method, url, key string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", tenants.NewToken())
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := s.Client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %.200s", method, url, response.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// rejected is how many requests of this host its limits refused so far.
func (s *Site) limits(ctx context.Context, host string) (accepted, rejected int, err error) {
	var l struct{ Accepted, Rejected int }
	err = s.call(ctx, http.MethodGet, s.control(host, "/limits"), "", nil, &l)
	return l.Accepted, l.Rejected, err
}

// stages maps the status paid to a stage of the first pipeline, or nothing.
func (s *Site) stages(ctx context.Context, t demo.Tenant, stages map[string]map[string]string) error {
	return s.call(ctx, http.MethodPut, s.App+"/api/v1/settings", t.APIKey, map[string]any{"language": "en", "time_zone": "Asia/Yerevan",
		"link_hours": 72, "merchant": "Acme", "accent": "", "stages": stages}, nil)
}

// Order makes a stand-in misbehave.
func (s *Site) Order(ctx context.Context, host string, fault any) error {
	return s.call(ctx, http.MethodPost, s.control(host, "/faults"), "", fault, nil)
}
