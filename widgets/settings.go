package widgets

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/mapping"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

func entryView(e tenants.Entry) api.AuditEntry {
	v := api.AuditEntry{At: e.At.UTC(), Actor: string(e.Actor), Action: e.Action, From: e.Before, To: e.After, Evidence: map[string]any{}}
	_ = json.Unmarshal(e.Evidence, &v.Evidence)
	if e.DealID != "" {
		v.DealId = &e.DealID
	}
	if e.Invoice != nil {
		id := e.Invoice.String()
		v.InvoiceId = &id
	}
	if e.RequestID != "" {
		v.RequestId = &e.RequestID
	}
	return v
}

// GetSettings answers GET /settings.
func (s *Service) GetSettings(c *gin.Context) {
	view, err := s.settings(c.Request.Context(), who(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, view)
}

func (s *Service) settings(ctx context.Context, w caller) (api.SettingsView, error) {
	var view api.SettingsView
	err := s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		t, err := tx.Me(ctx)
		if err != nil {
			return err
		}
		view = api.SettingsView{Crm: api.SettingsViewCrm(t.CRM), Domain: t.Domain, Name: t.Name, Settings: settingsView(t.Settings), Version: s.Version}
		if t.CRM != string(crm.Bitrix24) {
			view.ConnectUrl = s.PublicURL + "/" + t.CRM + "/connect"
		}
		view.Acquirers, err = s.acquirers(ctx, tx)
		return err
	})
	if err == nil {
		view.Health, err = s.health(ctx, w)
	}
	return view, err
}

func settingsView(t tenants.Settings) api.Settings {
	v := api.Settings{Language: api.SettingsLanguage(t.Language), TimeZone: t.TimeZone, LinkHours: t.LinkHours, Merchant: t.Merchant,
		Accent: t.Accent, Stages: t.Stages}
	if v.Stages == nil {
		v.Stages = map[string]map[string]string{}
	}
	return v
}

func (s *Service) acquirers(ctx context.Context, tx *tenants.Tx) ([]api.AcquirerView, error) {
	linked, err := payments.Connections(ctx, tx)
	if err != nil {
		return nil, err
	}
	views := []api.AcquirerView{}
	for key, p := range s.Payments.Providers {
		v := describe(key, p.Describe())
		for _, l := range linked {
			if l.Acquirer != key {
				continue
			}
			v.Connected, v.Test, v.CheckedAt = true, l.Test, utc(l.CheckedAt)
			if v.HookUrl, err = s.Payments.HookURL(tx, l); err != nil {
				return nil, err
			}
		}
		views = append(views, v)
	}
	slices.SortFunc(views, func(a, b api.AcquirerView) int { // connected ones first
		if a.Connected != b.Connected {
			if a.Connected {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return views, nil
}

func describe(key string, d payments.Description) api.AcquirerView {
	v := api.AcquirerView{Acquirer: key, Name: d.Name, Currencies: append([]string{}, d.Currencies...), Refunds: d.Refunds, Fields: []api.CredentialField{}}
	for _, f := range d.Credentials {
		field := api.CredentialField{Key: f.Key, Label: f.Label, Secret: f.Secret, Optional: f.Optional}
		if f.Default != "" {
			field.Default = &f.Default
		}
		v.Fields = append(v.Fields, field)
	}
	return v
}

func (s *Service) health(ctx context.Context, w caller) (api.Health, error) {
	h := api.Health{Failures: []api.Failure{}}
	var tenant tenants.Tenant
	err := s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		if tenant, err = tx.Me(ctx); err != nil {
			return err
		}
		h.Status, h.StatusWhy, h.Setup = api.HealthStatus(tenant.Status), tenant.StatusWhy, len(tenant.Layout) > 0
		backlog, err := outbox.BacklogOf(ctx, tx)
		if err != nil {
			return err
		}
		h.Waiting, h.OldestWaitingAt, h.Failed = backlog.Waiting, utc(backlog.Oldest), backlog.Dead
		dead, err := outbox.Buried(ctx, tx, pageSize)
		for _, d := range dead {
			h.Failures = append(h.Failures, api.Failure{Id: d.ID, Kind: string(d.Kind), Key: d.Key, Since: d.DeadAt.UTC(), Reason: d.Reason})
		}
		if err != nil {
			return err
		}
		state, err := outbox.LaneOf(ctx, tx)
		h.PausedUntil, h.PausedWhy, h.LastCallAt = utc(state.PausedUntil), state.PausedWhy, utc(state.LastCallAt)
		return err
	})
	if err != nil {
		return h, err
	}
	access, err := s.CRM.Health(ctx, w.tenant)
	if err != nil {
		return h, err
	}
	h.TokenAt, h.TokenExpiresAt = utc(&access.RenewedAt), utc(&access.ExpiresAt)
	if share, err := s.HeadRoom(ctx, tenant); err == nil {
		room := float32(share)
		h.HeadRoom = &room
	}
	return h, nil
}

var accentForm = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// PutSettings answers PUT /settings.
func (s *Service) PutSettings(c *gin.Context) {
	w := who(c)
	var in api.Settings
	_, err := decode(c, &in)
	if err == nil {
		err = checkSettings(in)
	}
	ctx := c.Request.Context()
	if err == nil && len(in.Stages) > 0 {
		var pipelines []crm.Pipeline
		if pipelines, err = s.pipelines(ctx, w); err == nil {
			err = mapping.Check(in.Stages, pipelines)
		}
	}
	if err == nil {
		err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			me, err := tx.Me(ctx)
			if err != nil {
				return err
			}
			return tx.SetSettings(ctx, tenants.Settings{Language: string(in.Language), TimeZone: in.TimeZone, LinkHours: in.LinkHours,
				Merchant: strings.TrimSpace(in.Merchant), Accent: in.Accent, Stages: in.Stages, Payments: me.Settings.Payments}, w.by.Actor)
		})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, in)
}

func checkSettings(in api.Settings) error {
	_, zone := time.LoadLocation(in.TimeZone)
	switch {
	case in.Language != "en" && in.Language != "ru" && in.Language != "hy":
		return &payments.Invalid{Code: "language_unknown", Detail: "The language must be en, ru or hy."}
	case zone != nil || in.TimeZone == "" || in.TimeZone == "Local":
		return &payments.Invalid{Code: "time_zone_unknown", Detail: "The time zone must be an IANA name such as Asia/Yerevan."}
	case in.LinkHours < 1 || in.LinkHours > 8760:
		return &payments.Invalid{Code: "link_hours_unusable", Detail: "A link can live for 1 to 8760 hours."}
	case in.Accent != "" && !accentForm.MatchString(in.Accent):
		return &payments.Invalid{Code: "accent_unusable", Detail: "The colour must be written as #rrggbb."}
	case utf8.RuneCountInString(in.Merchant) > 80:
		return &payments.Invalid{Code: "merchant_too_long", Detail: "The name can have at most 80 characters."}
	}
	return nil
}

func (s *Service) pipelines(ctx context.Context, w caller) ([]crm.Pipeline, error) {
	account, _, err := s.CRM.Account(ctx, w.tenant)
	if err != nil {
		return nil, err
	}
	return account.Pipelines(crm.WithPriority(ctx, crm.Person))
}

// ListPipelines answers GET /pipelines.
func (s *Service) ListPipelines(c *gin.Context) {
	list, err := s.pipelines(c.Request.Context(), who(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"items": append([]crm.Pipeline{}, list...)})
}

// ConnectAcquirer answers PUT /acquirers/{acquirer}.
func (s *Service) ConnectAcquirer(c *gin.Context) {
	w, key := who(c), c.Param("acquirer")
	var in api.ConnectRequest
	_, err := decode(c, &in)
	if err == nil {
		err = s.Payments.Connect(c.Request.Context(), w.tenant, w.by, key, in.Credentials, in.Test != nil && *in.Test)
	}
	var view api.AcquirerView
	if err == nil {
		err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			all, err := s.acquirers(ctx, tx)
			for _, v := range all {
				if v.Acquirer == key {
					view = v
				}
			}
			return err
		})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, view)
}

// TestAcquirer answers POST /acquirers/{acquirer}/test.
func (s *Service) TestAcquirer(c *gin.Context) {
	w := who(c)
	var in api.ConnectRequest
	_, err := decode(c, &in)
	if err == nil {
		_, err = s.Payments.Test(c.Request.Context(), w.tenant, c.Param("acquirer"), in.Credentials)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, api.TestResult{Ok: true})
}

// DisconnectAcquirer answers DELETE /acquirers/{acquirer}.
func (s *Service) DisconnectAcquirer(c *gin.Context) {
	w := who(c)
	s.empty(c, s.Payments.Disconnect(c.Request.Context(), w.tenant, w.by, c.Param("acquirer")))
}

func (s *Service) empty(c *gin.Context, err error) {
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func keyView(k tenants.APIKey) api.APIKey {
	return api.APIKey{Id: k.ID.String(), Name: k.Name, Role: api.Role(k.Role), Hint: k.Hint, CreatedBy: string(k.CreatedBy),
		CreatedAt: k.CreatedAt.UTC(), RevokedAt: utc(k.RevokedAt)}
}

// ListKeys answers GET /api-keys.
func (s *Service) ListKeys(c *gin.Context) {
	page := api.KeyPage{Items: []api.APIKey{}}
	err := s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
		keys, err := tx.APIKeys(ctx)
		for _, k := range keys {
			page.Items = append(page.Items, keyView(k))
		}
		return err
	})
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, page)
}

// CreateKey answers POST /api-keys.
func (s *Service) CreateKey(c *gin.Context) {
	w := who(c)
	var in api.KeyRequest
	_, err := decode(c, &in)
	name := strings.TrimSpace(in.Name)
	switch {
	case err != nil:
	case name == "" || utf8.RuneCountInString(name) > 80:
		err = &payments.Invalid{Code: "name_unusable", Detail: "Give the key a name of at most 80 characters."}
	case !tenants.Role(in.Role).Allows(tenants.Manager):
		err = &payments.Invalid{Code: "role_unknown", Detail: "The role must be manager, accountant or admin."}
	}
	var made api.NewKey
	if err == nil {
		err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			key, clear, err := tx.NewAPIKey(ctx, name, tenants.Role(in.Role), w.by.Actor)
			made = api.NewKey{Key: keyView(key), Secret: string(clear)}
			return err
		})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusCreated, made)
}

// RevokeKey answers DELETE /api-keys/{id}.
func (s *Service) RevokeKey(c *gin.Context) {
	w := who(c)
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		err = payments.ErrNotFound
	} else {
		err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			return tx.RevokeAPIKey(ctx, id, w.by.Actor)
		})
	}
	s.empty(c, err)
}

// Repair answers POST /repair: makes in the CRM what is missing there.
func (s *Service) Repair(c *gin.Context) {
	w := who(c)
	ctx, cancel := context.WithTimeout(crm.WithPriority(c.Request.Context(), crm.Person), 25*time.Second)
	defer cancel()
	err := s.CRM.Setup(ctx, w.tenant)
	var h api.Health
	if err == nil {
		h, err = s.health(ctx, w)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, h)
}

// Replay answers POST /replay: failed work is promised again.
func (s *Service) Replay(c *gin.Context) {
	w := who(c)
	var in api.ReplayRequest
	_, err := decode(c, &in)
	var ids []int64
	switch {
	case err != nil:
	case in.Ids != nil && len(*in.Ids) > 0:
		ids = *in.Ids
	case in.All == nil || !*in.All:
		err = &bad{"nothing_chosen", "Give ids, or all."}
	}
	var n int
	if err == nil {
		err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			if n, err = outbox.Replay(ctx, tx, ids, s.Now()); err != nil {
				return err
			}
			return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: w.by.Actor, Action: "work.replayed"}, map[string]int{"promises": n})
		})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, api.ReplayResult{Replayed: n})
}
