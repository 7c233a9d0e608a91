package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
)

// Tenant is one seeded tenant, as the ready file shows it.
type Tenant struct {
	ID       string   `json:"id"`
	CRM      string   `json:"crm"`
	Account  string   `json:"account"`
	APIKey   string   `json:"api_key"`
	Acquirer string   `json:"acquirer"`
	DealIDs  []string `json:"deal_ids"`
}

// Seeder brings tenants in through the real install and gives each a real key and the acquirer.
type Seeder struct {
	DB       *tenants.DB
	App      string            // base of the app
	Controls map[string]string // of the stand-ins
	Client   *http.Client
}

var accounts = []struct {
	system crm.System
	host   string
}{{crm.Bitrix24, Portal}, {crm.AmoCRM, AmoHost}, {crm.Kommo, KommoHost}}

// Install presses Install in every stand-in, as an administrator does.
func (s *Seeder) Install(ctx context.Context) error {
	for _, a := range accounts {
		if err := s.call(ctx, http.MethodPost, s.Controls[a.host]+"/install", "", map[string]any{}, nil); err != nil {
			return fmt.Errorf("install in %s: %w", a.host, err)
		}
	}
	return nil
}

// Seed installs everywhere and makes the tenants ready to take payments.
func (s *Seeder) Seed(ctx context.Context) ([]Tenant, error) {
	if err := s.Install(ctx); err != nil {
		return nil, err
	}
	return s.Prepare(ctx)
}

// Prepare makes what is installed ready to take payments.
func (s *Seeder) Prepare(ctx context.Context) ([]Tenant, error) {
	var seeded []Tenant
	for _, a := range accounts {
		t, err := s.prepare(ctx, a.system, a.host)
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", a.host, err)
		}
		seeded = append(seeded, t)
	}
	return seeded, nil
}

func (s *Seeder) prepare(ctx context.Context, system crm.System, host string) (Tenant, error) {
	t := Tenant{CRM: string(system), Account: host, Acquirer: Acquirer}
	for n := 1; n <= 20; n++ {
		t.DealIDs = append(t.DealIDs, strconv.Itoa(n))
	}
	key, err := s.accountKey(ctx, system, host)
	if err != nil {
		return t, err
	}
	id, err := s.settled(ctx, system, key)
	if err != nil {
		return t, err
	}
	t.ID = id.String()
	err = s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		old, err := tx.APIKeys(ctx)
		if err != nil {
			return err
		}
		for _, k := range old {
			if k.Name == "demo" && k.RevokedAt == nil {
				if err := tx.RevokeAPIKey(ctx, k.ID, tenants.Operator); err != nil {
					return err
				}
			}
		}
		_, secret, err := tx.NewAPIKey(ctx, "demo", tenants.Admin, tenants.Operator)
		t.APIKey = string(secret)
		return err
	})
	if err != nil {
		return t, err
	}
	credentials := map[string]any{"test": true, "credentials": map[string]string{"token": VposToken, "webhook_secret": VposSecret}}
	if err := s.call(ctx, http.MethodPut, s.App+"/api/v1/acquirers/"+Acquirer, t.APIKey, credentials, nil); err != nil {
		return t, fmt.Errorf("connect the acquirer: %w", err)
	}
	return t, s.mapStages(ctx, t.APIKey)
}

// accountKey is the permanent key by which the stand-in's account is known: its credentials tell.
func (s *Seeder) accountKey(ctx context.Context, system crm.System, host string) (string, error) {
	var state struct {
		MemberID  string      `json:"member_id"`
		AccountID json.Number `json:"account_id"`
	}
	if err := s.call(ctx, http.MethodGet, s.Controls[host]+"/credentials", "", nil, &state); err != nil {
		return "", err
	}
	if system == crm.Bitrix24 {
		return state.MemberID, nil
	}
	return state.AccountID.String(), nil
}

// settled waits until the account's tenant is there and its fields were made.
func (s *Seeder) settled(ctx context.Context, system crm.System, key string) (tenants.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		id, _, err := s.DB.Enter(ctx, tenants.Door(system), key)
		if err == nil {
			var ready bool
			err = s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
				me, err := tx.Me(ctx)
				ready = me.Status == tenants.Active && len(me.Layout) > 0
				return err
			})
			if ready {
				return id, nil
			}
		}
		if err != nil && !errors.Is(err, tenants.ErrNoDoor) {
			return id, err
		}
		select {
		case <-ctx.Done():
			return id, errors.New("the installation did not finish within a minute")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// mapStages moves paid deals to the won stage of their pipeline.
func (s *Seeder) mapStages(ctx context.Context, key string) error {
	var pipelines struct {
		Items []crm.Pipeline `json:"items"`
	}
	if err := s.call(ctx, http.MethodGet, s.App+"/api/v1/pipelines", key, nil, &pipelines); err != nil {
		return fmt.Errorf("read pipelines: %w", err)
	}
	stages := map[string]map[string]string{}
	for _, pipeline := range pipelines.Items {
		for _, stage := range pipeline.Stages {
			if stage.Kind == crm.StageWon {
				stages[pipeline.ID] = map[string]string{string(crm.Paid): stage.ID}
			}
		}
	}
	settings := map[string]any{"language": "en", "time_zone": "Asia/Yerevan", "link_hours": 72, "merchant": "Acme", "accent": "", "stages": stages}
	if err := s.call(ctx, http.MethodPut, s.App+"/api/v1/settings", key, settings, nil); err != nil {
		return fmt.Errorf("keep settings: %w", err)
	}
	return nil
}

func (s *Seeder) call(ctx context.Context, method, url, key string, body, into any) error {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := s.Client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %.300s", method, url, response.StatusCode, raw)
	}
	if into != nil {
		return json.Unmarshal(raw, into)
	}
	return nil
}
