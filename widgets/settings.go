package widgets

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/mapping"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
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
		view = api.SettingsView{Crm: api.SettingsViewCrm(t.CRM), Domain: t.Domain, Name: t.Name, Role: api.Role(w.by.Role),
			Settings: settingsView(t.Settings), Version: s.Version}
		view.Health = api.Health{Status: api.HealthStatus(t.Status), Failures: []api.Failure{}, LastCalls: []api.LastCall{}, BusyMethods: []api.BusyMethod{}}
		if t.CRM != string(crm.Bitrix24) {
			view.ConnectUrl = s.PublicURL + "/" + t.CRM + "/connect"
		}
		view.Acquirers, err = s.acquirers(ctx, tx)
		return err
	})
	if err == nil && w.by.Role.Allows(tenants.Admin) {
		view.Health, err = s.health(ctx, w)
	} else {
		keepBack(&view)
	}
	return view, err
}

// keepBack takes out what is the administrators' alone.
func keepBack(view *api.SettingsView) {
	view.ConnectUrl = ""
	for i := range view.Acquirers {
		view.Acquirers[i].HookUrl, view.Acquirers[i].Fields = "", []api.CredentialField{}
	}
}

func settingsView(t tenants.Settings) api.Settings {
	v := api.Settings{Language: api.SettingsLanguage(t.Language), TimeZone: t.TimeZone, LinkHours: t.LinkHours, Merchant: t.Merchant,
		Accent: t.Accent, Stages: t.Stages, OverwrittenFields: repairView(t.RepairsFields()), OverwrittenStage: repairView(t.RepairsStage())}
	if v.Stages == nil {
		v.Stages = map[string]map[string]string{}
	}
	fields := map[string]map[string]string(mapping.Fields(t.Fields).Trim())
	v.Fields = &fields
	return v
}

func repairView(repairs bool) *api.Repair {
	v := api.Repair(tenants.LetBe)
	if repairs {
		v = api.Repair(tenants.DoRepair)
	}
	return &v
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
			v.Connected, v.Test, v.CheckedAt, v.RefusedAt = true, l.Test, utc(l.CheckedAt), utc(l.RefusedAt)
			v.Denied = append(v.Denied, l.Denied...)
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
	v := api.AcquirerView{Acquirer: key, Name: d.Name, Currencies: append([]string{}, d.Currencies...), Refunds: d.Refunds, Denied: []string{}, Fields: []api.CredentialField{}}
	for _, f := range d.Credentials {
		field := api.CredentialField{Key: f.Key, Label: f.Label, Secret: f.Secret, Optional: f.Optional}
		if f.Default != "" {
			field.Default = &f.Default
		}
		v.Fields = append(v.Fields, field)
	}
	return v
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
	var was tenants.Settings
	if err == nil {
		err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			me, err := tx.Me(ctx)
			was = me.Settings
			return err
		})
	}
	var fields *chosen
	if err == nil {
		fields, err = s.mapped(ctx, w, in, was)
	}
	if err == nil {
		err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			me, err := tx.Me(ctx)
			if err != nil {
				return err
			}
			if fields == nil {
				fields = &chosen{me.Settings.Fields, me.Settings.FieldTypes}
			}
			return tx.SetSettings(ctx, tenants.Settings{Fields: fields.fields, FieldTypes: fields.types, Language: string(in.Language), TimeZone: in.TimeZone, LinkHours: in.LinkHours,
				Merchant: strings.TrimSpace(in.Merchant), Accent: in.Accent, Stages: in.Stages, Payments: me.Settings.Payments,
				OverwrittenFields: cmp.Or(tenants.Repair(value(in.OverwrittenFields)), me.Settings.OverwrittenFields),
				OverwrittenStage:  cmp.Or(tenants.Repair(value(in.OverwrittenStage)), me.Settings.OverwrittenStage)}, w.by.Actor)
		})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, in)
}

// mapped checks stages and fields against the CRM's, and returns the fields; nil leaves them as they are. What did not change is
// not checked, so that the rest can be kept when the CRM does not answer, or a stage or field was deleted there.
func (s *Service) mapped(ctx context.Context, w caller, in api.Settings, was tenants.Settings) (*chosen, error) {
	same := maps.Equal[map[string]string, map[string]string]
	stages := len(in.Stages) > 0 && !maps.EqualFunc(in.Stages, was.Stages, same)
	wanted := mapping.Fields(value(in.Fields)).Trim()
	fields := len(wanted) > 0 && !maps.EqualFunc(wanted, was.Fields, same)
	var pipelines []crm.Pipeline
	var err error
	if stages || fields {
		pipelines, err = s.pipelines(ctx, w)
	}
	if err == nil && stages {
		err = mapping.Check(in.Stages, pipelines)
	}
	switch {
	case err == nil && fields:
		return s.choose(ctx, w, wanted, pipelines)
	case err == nil && in.Fields != nil && len(wanted) == 0:
		return &chosen{}, nil
	}
	return nil, err
}

// chosen are fields that a tenant's values are written to, and their types.
type chosen struct {
	fields map[string]map[string]string
	types  map[string]string
}

// choose checks fields against the CRM's.
func (s *Service) choose(ctx context.Context, w caller, in mapping.Fields, pipelines []crm.Pipeline) (*chosen, error) {
	own, err := s.ownFields(ctx, w)
	if err != nil {
		return nil, err
	}
	types, err := in.Check(pipelines, own)
	if err != nil {
		return nil, err
	}
	c := &chosen{in, map[string]string{}}
	for field, kind := range types {
		c.types[field] = string(kind)
	}
	return c, nil
}

// ownFields are the fields of deals that the customer made in the CRM.
func (s *Service) ownFields(ctx context.Context, w caller) ([]crm.Field, error) {
	account, _, err := s.CRM.Account(ctx, w.tenant)
	if err != nil {
		return nil, err
	}
	reader, ok := account.(crm.FieldsReader)
	if !ok {
		return nil, nil
	}
	return reader.Fields(crm.WithPriority(ctx, crm.Person))
}

// ListFields answers GET /fields.
func (s *Service) ListFields(c *gin.Context) {
	own, err := s.ownFields(c.Request.Context(), who(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	list := api.FieldList{Items: []api.Field{}}
	for _, f := range own {
		v := api.Field{Id: f.ID, Name: f.Name, Type: api.FieldType(f.Type), Writable: f.Writable, Fits: []api.FieldFits{}}
		for _, key := range crm.FieldKeys {
			if f.Fits(key) {
				v.Fits = append(v.Fits, api.FieldFits(key))
			}
		}
		list.Items = append(list.Items, v)
	}
	c.JSON(http.StatusOK, list)
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
	case !repairable(in.OverwrittenFields) || !repairable(in.OverwrittenStage):
		return &payments.Invalid{Code: "repair_unknown", Detail: "What was overwritten is either repaired or left: write repair or leave."}
	case utf8.RuneCountInString(in.Merchant) > 80:
		return &payments.Invalid{Code: "merchant_too_long", Detail: "The name can have at most 80 characters."}
	case strings.ContainsFunc(in.Merchant, unicode.IsControl):
		return &payments.Invalid{Code: "merchant_unusable", Detail: "The name must be one line that people can read."}
	}
	return nil
}

func repairable(r *api.Repair) bool { return r == nil || r.Valid() }

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
