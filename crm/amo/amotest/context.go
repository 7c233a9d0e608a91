package amotest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/dealpay/dealpay/tenants/standintest"
)

// pageContext is what the scripts of a page know.
type pageContext struct {
	Area    string         `json:"area"`
	Product map[string]any `json:"product"`
	Account map[string]any `json:"account"`
	User    person         `json:"user"`
	People  []person       `json:"people"`
	Lead    *cardData      `json:"lead"`
	Widget  *widgetView    `json:"widget"`
}

// widgetView is the installed or offered widget.
type widgetView struct {
	Code        string             `json:"code"`
	Path        string             `json:"path"`
	Title       string             `json:"title"`
	Description string             `json:"description"`
	Installed   bool               `json:"installed"`
	Problem     string             `json:"problem"` // why the archive was refused
	Locations   []string           `json:"locations"`
	InitOnce    bool               `json:"init_once"`
	Fields      map[string]Setting `json:"fields"`
	Texts       map[string]any     `json:"texts"`
	Settings    map[string]any     `json:"settings"`
	Advanced    bool               `json:"advanced"`
}

// cardData is what the card page shows of a lead and asks for again each second.
type cardData struct {
	Deal
	StageName string      `json:"stage_name"`
	Stages    []cardStage `json:"stages"`
	Rows      []cardField `json:"rows"`
	Contact   string      `json:"contact"`
	CanEdit   bool        `json:"can_edit"`
}

type cardStage struct {
	ID       string `json:"id"`
	Pipeline string `json:"pipeline"`
	Name     string `json:"name"`
}

type cardField struct {
	Code string `json:"code"`
	Name string `json:"name"`
	Type string `json:"type"`
	Text string `json:"text"`
	Raw  any    `json:"raw"`
}

func (a *Account) context(u person, area, leadID string) *pageContext {
	v := a.server.config.Variant
	people, widget, host := a.people(), a.widget(), a.Referer()
	a.mu.Lock()
	defer a.mu.Unlock()
	c := &pageContext{Area: area, User: u, People: people, Widget: widget}
	c.Product = map[string]any{"name": v.Name, "global": v.Global, "alias": a.switches.AppAlias, "hook_first": a.switches.HookFirst, "zone": v.Zone}
	c.Account = map[string]any{"id": a.ID, "subdomain": a.sub, "name": a.sub, "domain": host, "currency": Currency,
		"language": a.lang(), "timezone": "Asia/Yerevan", "country": v.country}
	if l, err := a.existing(leadID); err == nil {
		c.Lead = a.card(l, u)
	}
	return c
}

func (a *Account) lang() string {
	if a.switches.UserLang != "" {
		return a.switches.UserLang
	}
	return a.server.config.Variant.Lang
}

// widget is nil when no archive is configured; a refused one has a Problem.
func (a *Account) widget() *widgetView {
	c := a.server.config
	if c.Archive == nil {
		return nil
	}
	a.mu.Lock()
	v := &widgetView{Code: c.WidgetCode, Title: c.WidgetCode, Installed: a.installed, Path: "/widgets/" + c.WidgetCode}
	lang := a.lang()
	saved := maps.Clone(a.settings)
	a.mu.Unlock()
	archive, err := a.server.archive()
	if err != nil {
		v.Problem = err.Error()
		return v
	}
	m := archive.Manifest
	if !slices.Contains(m.Widget.Locale, lang) {
		lang = m.Widget.Locale[0]
	}
	v.Texts = archive.Texts[lang]
	v.Title, _ = lookup(v.Texts, m.Widget.Name).(string)
	v.Description, _ = lookup(v.Texts, m.Widget.Description).(string)
	v.Locations, v.InitOnce, v.Fields = m.Locations, m.Widget.InitOnce, m.Settings
	v.Advanced = archive.located("advanced_settings")
	status, active := "install", "N"
	if v.Installed {
		status, active = "installed", "Y"
	}
	v.Settings = map[string]any{"id": 742, "widget_code": v.Code, "active": active, "widget_active": active, "status": status,
		"path": a.URL() + v.Path, "images_path": a.URL() + v.Path + "/images", "version": m.Widget.Version,
		"oauth_client_uuid": c.ClientID, "support": m.Widget.Support, "lang": lang}
	for k, value := range saved {
		v.Settings[k] = value
	}
	return v
}

func (a *Account) card(l *lead, u person) *cardData {
	d := &cardData{Deal: a.deal(l), StageName: a.pipeline(l.pipeline).status(l.status).name, CanEdit: a.as(u).edits(l)}
	for _, p := range a.pipelines {
		for _, s := range p.statuses {
			if s.kind != 1 {
				d.Stages = append(d.Stages, cardStage{fmt.Sprint(s.id), fmt.Sprint(p.id), p.name + ": " + s.name})
			}
		}
	}
	for _, f := range a.fields {
		if f.entity != "leads" {
			continue
		}
		row := cardField{Code: f.code, Name: f.name, Type: f.kind}
		if values := l.values[f.id]; len(values) > 0 {
			row.Text, row.Raw = fmt.Sprint(values[0].Value), shown(values[0])
		}
		d.Rows = append(d.Rows, row)
	}
	if k := a.mainContact(l); k != nil {
		d.Contact = k.name
	}
	return d
}

func (a *Account) ajaxContext(w http.ResponseWriter, r *http.Request, u person) {
	r.SetPathValue("id", r.PathValue("lead"))
	if a.seen(w, r, u) {
		standintest.Answer(w, http.StatusOK, a.context(u, r.PathValue("area"), r.PathValue("lead")))
	}
}

func (a *Account) ajaxLead(w http.ResponseWriter, r *http.Request, u person) {
	if !a.seen(w, r, u) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if l, err := a.existing(r.PathValue("id")); err == nil {
		standintest.Answer(w, http.StatusOK, a.card(l, u))
	}
}

// ajaxEdit is a change made by hand in the card.
func (a *Account) ajaxEdit(w http.ResponseWriter, r *http.Request, u person) {
	if !a.seen(w, r, u) {
		return
	}
	var in order
	if !standintest.Decode(w, r, &in) {
		return
	}
	if err := a.Edit(u.ID, r.PathValue("id"), Edit{Price: in.Price, Name: in.Name, Pipeline: pointer(in.Pipeline), Status: pointer(in.Status)}); err != nil {
		standintest.Answer(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
		return
	}
	a.ajaxLead(w, r, u)
}

// ajaxContacts is what get_current_card_contacts_data answers.
func (a *Account) ajaxContacts(w http.ResponseWriter, r *http.Request, u person) {
	if !a.seen(w, r, u) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	out := []map[string]any{}
	if l, err := a.existing(r.PathValue("id")); err == nil {
		for _, ln := range l.links {
			if k := a.contact(ln.toID); k != nil && ln.toType == "contacts" {
				out = append(out, map[string]any{"id": k.id, "name": k.name, "first_name": k.first, "last_name": k.last,
					"phones": []string{k.phone}, "emails": []string{k.email}})
			}
		}
	}
	standintest.Answer(w, http.StatusOK, out)
}

// ajaxToken mints what $authorizedAjax sends; only the widget of an installed integration
// gets one.
func (a *Account) ajaxToken(w http.ResponseWriter, _ *http.Request, u person) {
	a.mu.Lock()
	reuse, kept := a.switches.ReuseTokens, a.kept[u.ID]
	a.mu.Unlock()
	if !reuse || kept == "" {
		kept = a.OneTimeToken(u.ID)
		a.mu.Lock()
		a.kept[u.ID] = kept
		a.mu.Unlock()
	}
	standintest.Answer(w, http.StatusOK, map[string]string{"token": kept})
}

// ajaxWidget saves settings, installs or disables; only an administrator may.
func (a *Account) ajaxWidget(w http.ResponseWriter, r *http.Request, u person) {
	var settings map[string]any
	if !standintest.Decode(w, r, &settings) {
		return
	}
	if !u.Admin {
		standintest.Answer(w, http.StatusForbidden, map[string]string{"error": "only an administrator can change integrations"})
		return
	}
	var err error
	switch r.PathValue("act") {
	case "settings", "install":
		a.save(settings)
		if r.PathValue("act") == "install" {
			err = a.Install(r.Context(), nil)
		}
	case "disable":
		err = a.Uninstall(r.Context(), "")
	default:
		http.NotFound(w, r)
		return
	}
	out := map[string]any{"ok": true}
	if err != nil {
		out["hook"] = err.Error() // shown, not fatal: the CRM never repeats its hook
	}
	standintest.Answer(w, http.StatusOK, out)
}

func (a *Account) save(settings map[string]any) {
	copied, _ := json.Marshal(settings)
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = json.Unmarshal(copied, &a.settings)
}
