package amotest

import "fmt"

// Users every account is seeded with.
const (
	AdminID    int64 = 7000001 // administrator
	ManagerID  int64 = 7000002 // sees and edits every lead, deletes none
	NoRightsID int64 = 7000003 // may sign in, sees nothing
)

// Pipelines and stages every account is seeded with.
const (
	MainPipeline  int64 = 8000001
	OtherPipeline int64 = 8000002

	StageNew     int64 = 8100011 // of MainPipeline
	StageInvoice int64 = 8100012
	StageReturn  int64 = 8100021 // of OtherPipeline
)

// Leads is how many leads an account is seeded with by default, numbered from 1.
const Leads = 20

// prices of the seeded leads in AMD, repeated.
var prices = []int64{150000, 45000, 320000, 12500, 89900, 1250000, 7500, 64000, 210000, 38000}

// data is all that an account holds; a reset forgets all of it but the integration.
type data struct {
	users     []*user
	pipelines []*pipeline
	fields    []*field
	contacts  []*contact
	leads     []*lead
	notes     []*note
	tasks     []*task
	tags      []tag
	events    []event

	codes    map[string]*code
	pairs    []*pair
	byAccess map[string]*pair

	installed bool
	settings  map[string]any // of the widget
	hooks     []*webhook
	triggers  []trigger
	queue     []*delivery
	sending   int
	bots      []map[string]any
	kept      map[int64]string // one-time tokens by user, with ReuseTokens
	lastID    int64
}

func (d *data) next() int64 {
	d.lastID++
	return d.lastID
}

func seed(c Config, now int64) data {
	v := c.Variant
	d := data{codes: map[string]*code{}, byAccess: map[string]*pair{},
		settings: map[string]any{}, kept: map[int64]string{}, lastID: 9000000}
	all := access{View: "A", Edit: "A", Add: "A", Delete: "A", Export: "A"}
	d.users = []*user{
		{id: AdminID, name: "Admin", email: "admin@example.com", admin: true, leads: all, tasks: "A", locale: v.Lang},
		{id: ManagerID, name: "Manager", email: "manager@example.com", tasks: "A", locale: v.Lang,
			leads: access{View: "A", Edit: "A", Add: "A", Delete: "D", Export: "D"}},
		{id: NoRightsID, name: "No rights", email: "norights@example.com", tasks: "D", locale: v.Lang,
			leads: access{View: "D", Edit: "D", Add: "D", Delete: "D", Export: "D"}},
	}
	d.pipelines = []*pipeline{
		seedPipeline(MainPipeline, "Sales", 1, status{id: StageNew, name: "First contact"}, status{id: StageInvoice, name: "Invoice sent"}),
		seedPipeline(OtherPipeline, "Repeat sales", 2, status{id: StageReturn, name: "Offer"}),
	}
	d.fields = seedFields()
	for i := int64(1); i <= int64(c.Leads); i++ {
		who := fmt.Sprintf("Customer %d", i)
		d.contacts = append(d.contacts, &contact{id: 5000 + i, name: who, first: "Customer", last: fmt.Sprint(i),
			phone: fmt.Sprintf("+120255501%02d", i), email: fmt.Sprintf("customer%d@example.com", i),
			responsible: ManagerID, createdAt: now})
		l := &lead{id: i, name: fmt.Sprintf("Deal %d", i), minor: prices[(i-1)%int64(len(prices))] * 100, responsible: ManagerID,
			status: StageNew, pipeline: MainPipeline, createdBy: AdminID, updatedBy: AdminID,
			createdAt: now, updatedAt: now, values: map[int64][]value{},
			links: []link{{toType: "contacts", toID: 5000 + i, metadata: map[string]any{"is_main": true}}}}
		if i%5 == 0 {
			l.pipeline, l.status = OtherPipeline, StageReturn
		}
		d.leads = append(d.leads, l)
	}
	return d
}

func seedPipeline(id int64, name string, sort int, stages ...status) *pipeline {
	p := &pipeline{id: id, name: name, sort: sort, main: sort == 1}
	p.statuses = append(p.statuses, status{id: id + 300000, name: "Incoming leads", sort: 10, kind: 1, color: "#c1c1c1"})
	for i, s := range stages {
		s.sort, s.color, s.editable = 20+10*i, "#99ccff", true
		p.statuses = append(p.statuses, s)
	}
	p.statuses = append(p.statuses, status{id: statusWon, name: "Closed - won", sort: 10000, color: "#CCFF66"},
		status{id: statusLost, name: "Closed - lost", sort: 11000, color: "#D5D8DB"})
	return p
}

// seedFields are the predefined fields of contacts, and what the customer made for leads.
func seedFields() []*field {
	multitext := func(id int64, name, code string, choices ...string) *field {
		f := &field{id: id, name: name, kind: "multitext", code: code, sort: id, system: true, entity: "contacts"}
		for i, c := range choices {
			f.enums = append(f.enums, enum{ID: id*100 + int64(i), Value: c, Sort: int64(2 * (i + 1)), Code: &c})
		}
		return f
	}
	own := func(id int64, name, kind string) *field {
		return &field{id: id, name: name, kind: kind, sort: id, entity: "leads"}
	}
	return []*field{
		multitext(3, "Phone", "PHONE", "WORK", "WORKDD", "MOB", "FAX", "HOME", "OTHER"),
		multitext(5, "Email", "EMAIL", "WORK", "PRIV", "OTHER"),
		own(101, "Accounting: status", "text"), own(102, "Accounting: received", "numeric"), own(103, "Accounting: balance", "numeric"),
		own(104, "Accounting: link", "url"), own(105, "Accounting: received at", "date_time"), own(106, "Accounting: day", "date"),
		own(107, "Colour", "select"),
	}
}
