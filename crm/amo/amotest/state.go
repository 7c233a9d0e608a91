package amotest

import (
	"fmt"
	"maps"
)

// State is what GET /_control/state answers. Ids are strings.
type State struct {
	AccountID   string           `json:"account_id"`
	Subdomain   string           `json:"subdomain"`
	Installed   bool             `json:"installed"`
	Deals       []Deal           `json:"deals"`
	Tokens      []Token          `json:"tokens"`
	Webhooks    []map[string]any `json:"webhooks"`
	Pending     int              `json:"pending_webhooks"`
	Links       []map[string]any `json:"links"`
	Bots        []map[string]any `json:"bots"`
	Triggers    []trigger        `json:"triggers"`
	WidgetState map[string]any   `json:"widget_settings"`
	Switches    Switches         `json:"switches"`
}

// Deal is a lead that is not deleted.
type Deal struct {
	ID       string         `json:"id"`
	Title    string         `json:"title"`
	Stage    string         `json:"stage"` // status id
	Pipeline string         `json:"pipeline"`
	Amount   string         `json:"amount"` // major units, two decimals
	Currency string         `json:"currency"`
	Owner    string         `json:"owner"`
	Fields   map[string]any `json:"fields"` // by code, by id where there is none; select as its enum's code
	Notes    []Note         `json:"notes"`
	Tasks    []Task         `json:"tasks"`
}

// Note is a line of a lead's timeline.
type Note struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	At   int64  `json:"at"` // Unix seconds
	Type string `json:"type"`
}

// Task is a task of a lead.
type Task struct {
	ID     string `json:"id"`
	Text   string `json:"text"`
	Done   bool   `json:"done"`
	Till   int64  `json:"complete_till"`
	Owner  string `json:"owner"`
	Result string `json:"result"`
}

// Token is a pair of our integration.
type Token struct {
	UserID       string `json:"user_id"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IssuedAt     int64  `json:"issued_at"`
	Used         bool   `json:"used"`
	Spent        bool   `json:"spent"` // the refresh token was exchanged
	Dead         bool   `json:"dead"`  // the refresh token no longer works
	Revoked      bool   `json:"revoked"`
}

// State returns a copy of the account's state.
func (a *Account) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := State{AccountID: fmt.Sprint(a.ID), Subdomain: a.sub, Installed: a.installed, Deals: []Deal{}, Tokens: []Token{},
		Webhooks: []map[string]any{}, Pending: len(a.queue) + a.sending, Links: []map[string]any{},
		Bots: append([]map[string]any{}, a.bots...), Triggers: append([]trigger{}, a.triggers...),
		WidgetState: maps.Clone(a.settings), Switches: a.switches}
	for _, l := range a.leads {
		if !l.deleted {
			s.Deals = append(s.Deals, a.deal(l))
			for _, k := range l.links {
				s.Links = append(s.Links, showLink(l.id, k))
			}
		}
	}
	for _, p := range a.pairs {
		s.Tokens = append(s.Tokens, Token{fmt.Sprint(p.user), p.access, p.refresh, p.at.Unix(), p.used, p.spent, p.dead, p.revoked})
	}
	for _, h := range a.hooks {
		s.Webhooks = append(s.Webhooks, a.showWebhook(h))
	}
	return s
}

// Deal returns the state of one lead; the zero Deal when there is none.
func (a *Account) Deal(id string) Deal {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l, err := a.existing(id); err == nil {
		return a.deal(l)
	}
	return Deal{}
}

func (a *Account) deal(l *lead) Deal {
	d := Deal{ID: fmt.Sprint(l.id), Title: l.name, Stage: fmt.Sprint(l.status), Pipeline: fmt.Sprint(l.pipeline),
		Amount: fmt.Sprintf("%d.%02d", l.minor/100, l.minor%100), Currency: Currency, Owner: fmt.Sprint(l.responsible),
		Fields: map[string]any{}, Notes: []Note{}, Tasks: []Task{}}
	for _, f := range a.fields {
		if values := l.values[f.id]; len(values) > 0 {
			key := f.code
			if key == "" {
				key = fmt.Sprint(f.id)
			}
			d.Fields[key] = shown(values[0])
		}
	}
	for _, n := range a.notes {
		if n.lead == l.id {
			d.Notes = append(d.Notes, Note{fmt.Sprint(n.id), noteText(n), n.createdAt, n.kind})
		}
	}
	for _, t := range a.tasks {
		if t.lead == l.id && t.entity == "leads" {
			d.Tasks = append(d.Tasks, Task{fmt.Sprint(t.id), t.text, t.done, t.till, fmt.Sprint(t.responsible), t.result})
		}
	}
	return d
}

// shown is a field's value as the control state has it.
func shown(v value) any {
	if v.EnumCode != nil {
		return *v.EnumCode
	}
	return v.Value
}
