package bitrix24test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/dealpay/dealpay/tenants/standintest"
)

// State is what GET /_control/state answers.
type State struct {
	Deals      []DealState      `json:"deals"`
	Installed  bool             `json:"installed"` // installation finished
	Domain     string           `json:"domain"`
	MemberID   string           `json:"member_id"`
	Plan       Plan             `json:"plan"`
	Fields     []params         `json:"fields"`     // custom fields, as userfieldconfig.list has them
	Placements []params         `json:"placements"` // {placement, handler}
	Handlers   []params         `json:"handlers"`   // {event, handler, offline}
	Robots     []string         `json:"robots"`
	RobotRuns  []RobotRun       `json:"robot_runs"`
	Options    params           `json:"options"`
	Notices    []notice         `json:"notices"`
	Events     []Sent           `json:"events"` // delivered or lost
	Tokens     map[string]int   `json:"tokens"` // how many there are
	Operating  map[string]int64 `json:"operating_ms"`
}

// DealState is one deal. Custom fields are keyed by name; empty ones are left out,
// enumerations show their XML_ID, money reads "100.00|AMD".
type DealState struct {
	ID       string         `json:"id"`
	Title    string         `json:"title"`
	Stage    string         `json:"stage"`
	Pipeline string         `json:"pipeline"`
	Amount   string         `json:"amount"` // decimal text, "150000.00"
	Currency string         `json:"currency"`
	Owner    string         `json:"owner"`
	Fields   map[string]any `json:"fields"`
	Notes    []NoteState    `json:"notes"`
	Tasks    []TaskState    `json:"tasks"`
}

// NoteState is a timeline comment or log message; Text holds all of it.
type NoteState struct {
	ID   string    `json:"id"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// TaskState is a to-do of the timeline, or a task bound to the deal.
type TaskState struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	Done bool   `json:"done"`
}

// State returns what the portal holds.
func (p *Portal) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := State{Deals: []DealState{}, Installed: p.install.finished, Domain: p.domain(), MemberID: p.member, Plan: p.plan,
		Fields: []params{}, Placements: []params{}, Handlers: []params{}, Robots: []string{}, RobotRuns: []RobotRun{}, Options: p.install.options,
		Notices: append([]notice{}, p.notices...), Events: []Sent{}, Operating: map[string]int64{},
		Tokens: map[string]int{"access": len(p.tokens.access), "refresh": len(p.tokens.refresh)}}
	notes, tasks := p.records(0)
	for _, d := range p.sorted() {
		s.Deals = append(s.Deals, p.dealState(d, notes[d.id], tasks[d.id]))
	}
	for _, f := range p.fields {
		s.Fields = append(s.Fields, f.config(true))
	}
	for _, w := range p.install.placements {
		s.Placements = append(s.Placements, params{"placement": w.code, "handler": w.url})
	}
	for _, h := range p.install.handlers {
		s.Handlers = append(s.Handlers, params{"event": h.event, "handler": h.url, "offline": h.offline})
	}
	for _, r := range p.install.robots {
		s.Robots = append(s.Robots, text(r["CODE"]))
	}
	for _, r := range p.install.runs {
		s.RobotRuns = append(s.RobotRuns, r.shown())
	}
	for _, sent := range p.srv.queue.delivered() {
		if sent.Member == p.member {
			s.Events = append(s.Events, sent)
		}
	}
	for name := range maps.Clone(p.operating) {
		sum, _ := p.operating.sum(name, p.Control.Clock.Now())
		s.Operating[name] = sum.Milliseconds()
	}
	return s
}

// records are the notes and tasks by deal; of one deal, unless only is 0.
func (p *Portal) records(only int) (map[int][]NoteState, map[int][]TaskState) {
	notes, tasks := map[int][]NoteState{}, map[int][]TaskState{}
	for _, n := range p.notes {
		if only == 0 || n.deal == only {
			notes[n.deal] = append(notes[n.deal], NoteState{ID: strconv.Itoa(n.id), Text: n.whole(), At: n.at.UTC()})
		}
	}
	for _, a := range p.activities {
		if only == 0 || a.deal == only {
			tasks[a.deal] = append(tasks[a.deal], TaskState{ID: strconv.Itoa(a.id), Text: a.whole(), Done: a.done})
		}
	}
	return notes, tasks
}

func (p *Portal) dealState(d *deal, notes []NoteState, tasks []TaskState) DealState {
	s := DealState{ID: strconv.Itoa(d.id), Title: d.title, Stage: d.stage, Pipeline: strconv.Itoa(d.category), Amount: d.amount,
		Currency: d.currency, Owner: strconv.Itoa(d.owner), Fields: map[string]any{}, Notes: append([]NoteState{}, notes...), Tasks: append([]TaskState{}, tasks...)}
	for _, f := range p.fields {
		if v, ok := d.uf[f.name]; ok {
			s.Fields[f.name] = f.shown(v, false)
		}
	}
	return s
}

// Deal returns one deal's state; ok is false when there is none.
func (p *Portal) Deal(id string) (s DealState, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.dealByID(id)
	if err != nil {
		return DealState{}, false
	}
	notes, tasks := p.records(d.id)
	return p.dealState(d, notes[d.id], tasks[d.id]), true
}

func (p *Portal) dealByID(id string) (*deal, error) {
	n, _ := strconv.Atoi(id)
	if d := p.deals[n]; d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("bitrix24test: no deal %q", id)
}

func invalidByHand(field string) *restError { return bad("", "invalid value for "+field) }

// change runs fn on a deal under the lock.
func (p *Portal) change(id string, fn func(*deal) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.dealByID(id)
	if err != nil {
		return err
	}
	return fn(d)
}

// Edit changes a deal as the manager would by hand: by upper-case names (OPPORTUNITY,
// STAGE_ID, CURRENCY_ID, UF_CRM_…). Enumerations take an option's XML_ID, text or id. An
// unknown name or a bad value is an error.
func (p *Portal) Edit(dealID string, fields map[string]any) error {
	return p.change(dealID, func(d *deal) error {
		in := maps.Clone(fields)
		for name, v := range in {
			f := p.field(name)
			if f == nil && !slices.Contains(slices.Collect(maps.Values(columns)), name) {
				return fmt.Errorf("bitrix24test: no field %s", name)
			}
			if f != nil && f.kind == "enumeration" && !f.multiple {
				in[name] = f.optionID(text(v))
			}
		}
		if refused := p.edit(d, in, 2, invalidByHand); refused != nil {
			return refused
		}
		return nil
	})
}

// Move puts a deal into a stage, and into that stage's pipeline.
func (p *Portal) Move(dealID, stageID string) error {
	s, ok := stageByID(stageID)
	if !ok {
		return fmt.Errorf("bitrix24test: no stage %q", stageID)
	}
	return p.Edit(dealID, map[string]any{"CATEGORY_ID": s.category, "STAGE_ID": stageID})
}

// Delete removes a deal.
func (p *Portal) Delete(dealID string) error {
	return p.change(dealID, func(d *deal) error {
		p.remove(d, 2)
		return nil
	})
}

// Merge makes one deal of two, as the manager would: the other one takes over the custom fields, the timeline and the tasks,
// and the merged one is deleted.
func (p *Portal) Merge(dealID, intoID string) error {
	return p.change(dealID, func(d *deal) error {
		into, err := p.dealByID(intoID)
		if err != nil || into == d {
			return errOrder
		}
		maps.Copy(into.uf, d.uf)
		for _, n := range p.notes {
			if n.deal == d.id {
				n.deal = into.id
			}
		}
		for _, a := range p.activities {
			if a.deal == d.id {
				a.deal = into.id
			}
		}
		into.updated, into.editor = p.Control.Clock.Now(), 2
		p.fire("ONCRMDEALUPDATE", params{"FIELDS": params{"ID": into.id}}, 2)
		p.remove(d, 2)
		return nil
	})
}

// Add makes a deal of the manager's and returns its id.
func (p *Portal) Add(fields map[string]any) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, refused := p.create(fields, 2, invalidByHand)
	if refused != nil {
		return "", refused
	}
	return strconv.Itoa(d.id), nil
}

// Quiet reports whether all events of the server were delivered.
func (p *Portal) Quiet() bool { return p.srv.queue.idle() }

// order is the body of the extra control routes.
type order struct {
	Deal   string         `json:"deal"`
	Into   string         `json:"into"`
	Fields map[string]any `json:"fields"`
	Stage  string         `json:"stage"`
	Clean  bool           `json:"clean"`
	Host   string         `json:"host"`
	Plan   Plan           `json:"plan"`
	User   string         `json:"user"`
	Method string         `json:"method"`
	MS     int            `json:"ms"`
	Code   string         `json:"code"`
	Told   bool           `json:"told"`
}

var errOrder = errors.New("bitrix24test: order cannot be understood")

// controlRoutes adds what only portals have to the common control API: deals (add, edit,
// delete, merge, move), install, finish (installFinish), update, uninstall, rename, plan (std or
// enterprise), robot (runs a rule of ours on a deal; fields are its properties), token (of a
// user) and cost (execution time booked per call of a method).
func (p *Portal) controlRoutes() http.Handler {
	mux := p.Control.Handler()
	for path, do := range map[string]func(*http.Request, order) (any, error){
		"add": func(_ *http.Request, o order) (any, error) {
			id, err := p.Add(o.Fields)
			return params{"id": id}, err
		},
		"edit":      func(_ *http.Request, o order) (any, error) { return nil, p.Edit(o.Deal, o.Fields) },
		"delete":    func(_ *http.Request, o order) (any, error) { return nil, p.Delete(o.Deal) },
		"merge":     func(_ *http.Request, o order) (any, error) { return nil, p.Merge(o.Deal, o.Into) },
		"move":      func(_ *http.Request, o order) (any, error) { return nil, p.Move(o.Deal, o.Stage) },
		"install":   func(r *http.Request, _ order) (any, error) { return nil, p.Install(r.Context(), p.srv.cfg.HTTP) },
		"finish":    func(*http.Request, order) (any, error) { p.FinishInstall(); return nil, nil },
		"uninstall": func(_ *http.Request, o order) (any, error) { p.Uninstall(o.Clean); return nil, nil },
		"update":    func(_ *http.Request, o order) (any, error) { p.Update(o.Told); return nil, nil },
		"rename": func(_ *http.Request, o order) (any, error) {
			if o.Host == "" {
				return nil, errOrder
			}
			p.Rename(plainHost(o.Host))
			return nil, nil
		},
		"plan": func(_ *http.Request, o order) (any, error) {
			if o.Plan != Standard && o.Plan != Enterprise {
				return nil, errOrder
			}
			p.SetPlan(o.Plan)
			return nil, nil
		},
		"robot": func(_ *http.Request, o order) (any, error) {
			token, err := p.RunRobot(o.Code, o.Deal, o.Fields)
			return params{"event_token": token}, err
		},
		"cost": func(_ *http.Request, o order) (any, error) {
			p.SetCost(o.Method, time.Duration(o.MS)*time.Millisecond)
			return nil, nil
		},
		"token": func(_ *http.Request, o order) (any, error) {
			if userByID(o.User) == nil {
				return nil, errOrder
			}
			t := p.TokenFor(o.User)
			return params{"access_token": t.Access, "refresh_token": t.Refresh, "expires_in": int(accessLife.Seconds()), "user_id": o.User}, nil
		},
	} {
		mux.HandleFunc("POST /_control/"+path, obey(do))
	}
	return mux
}

// obey decodes an order, carries it out and answers.
func obey(do func(*http.Request, order) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o order
		if !standintest.Decode(w, r, &o) {
			return
		}
		out, err := do(r, o)
		if err != nil {
			standintest.Answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		if out == nil {
			out = map[string]bool{"ok": true}
		}
		standintest.Answer(w, http.StatusOK, out)
	}
}
