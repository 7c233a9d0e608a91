package bitrix24test

import (
	"fmt"
	"time"
)

// deal is stored as its columns; uf holds custom values in the form they were validated to:
// string, or []string of a multiple field.
type deal struct {
	id, category, contact, owner int
	title, stage, currency       string
	amount                       string // "150000.00"
	author, editor, mover        int
	created, updated, moved      time.Time
	uf                           map[string]any
}

type contact struct {
	id                 int
	name, phone, email string
}

// stage of a deal pipeline (page "Get List of Items from a Directory").
type stage struct {
	id              int
	code, name      string
	semantics       string // "", S or F
	extra           string
	color           string
	system          bool
	category, order int
}

type category struct {
	id, sort int
	name     string
}

var categories = []category{{id: 0, name: "General", sort: 100}, {id: 1, name: "Projects", sort: 200}}

// currencies the portal knows, with their display settings.
var currencies = [][3]string{{"AMD", "Armenian Dram", "# ֏"}, {"USD", "US Dollar", "$#"}, {"EUR", "Euro", "# €"}, {"RUB", "Russian Ruble", "# ₽"}}

var stages = func() (all []stage) {
	kinds := []stage{
		{code: "NEW", name: "New", extra: "process", color: "#39A8EF", system: true},
		{code: "PREPARATION", name: "Document preparation", extra: "process", color: "#2FC6F6"},
		{code: "PREPAYMENT_INVOICE", name: "Prepayment invoice", extra: "process", color: "#55D0E0"},
		{code: "EXECUTING", name: "In progress", extra: "process", color: "#47E4C2"},
		{code: "FINAL_INVOICE", name: "Final invoice", extra: "process", color: "#FFA900"},
		{code: "WON", name: "Deal successful", semantics: "S", extra: "success", color: "#7BD500", system: true},
		{code: "LOSE", name: "Deal failed", semantics: "F", extra: "failure", color: "#FF5752", system: true},
		{code: "APOLOGY", name: "Failure reason analysis", semantics: "F", extra: "apology", color: "#FF5752"},
	}
	for _, cat := range categories {
		for i, s := range kinds {
			s.id, s.category, s.order = 101+2*len(all), cat.id, 10*(i+1)
			if cat.id > 0 {
				// Ids are cut at 21 characters; this one is why nobody may assemble them.
				s.code = fmt.Sprintf("C%d:%s", cat.id, s.code)
				s.code = s.code[:min(len(s.code), 21)]
			}
			all = append(all, s)
		}
	}
	return all
}()

func stageByID(code string) (stage, bool) {
	for _, s := range stages {
		if s.code == code {
			return s, true
		}
	}
	return stage{}, false
}

// amounts of the seeded deals, in AMD.
var amounts = []string{"150000.00", "45000.00", "320000.00", "12500.00", "89900.00", "1250000.00", "7500.00",
	"64000.50", "210000.00", "33000.00"}

// seed makes deals 1 to 20 with a contact each. Phone numbers are of the range reserved
// for fiction, names are nobody's.
func seed(now time.Time) crm {
	c := crm{lastID: 1000, deals: map[int]*deal{}, contacts: map[int]*contact{}}
	for i := 1; i <= 20; i++ {
		c.contacts[i] = &contact{id: i, name: fmt.Sprintf("Customer %d", i),
			phone: fmt.Sprintf("+120255501%02d", i), email: fmt.Sprintf("customer%d@example.com", i)}
		at := now.Add(-time.Duration(21-i) * time.Hour).Truncate(time.Second)
		d := &deal{id: i, contact: i, owner: 2, title: fmt.Sprintf("Order %d", 1000+i), stage: "NEW", currency: "AMD",
			amount: amounts[(i-1)%len(amounts)], author: 2, editor: 2, mover: 2, created: at, updated: at, moved: at, uf: map[string]any{}}
		if i > 15 {
			d.category, d.stage = 1, "C1:NEW"
		}
		c.deals[i], c.lastDeal = d, i
	}
	for i, f := range []userField{
		{kind: "string", label: map[string]string{"en": "Accounting: status", "ru": "Бухгалтерия: статус"}},
		{kind: "money", label: map[string]string{"en": "Accounting: received", "ru": "Бухгалтерия: получено"}},
		{kind: "double", label: map[string]string{"en": "Accounting: balance", "ru": "Бухгалтерия: остаток"}},
		{kind: "url", label: map[string]string{"en": "Accounting: link", "ru": "Бухгалтерия: ссылка"}},
		{kind: "datetime", label: map[string]string{"en": "Accounting: received at", "ru": "Бухгалтерия: время"}},
		{kind: "date", label: map[string]string{"en": "Accounting: day", "ru": "Бухгалтерия: день"}},
		{kind: "string", multiple: true, label: map[string]string{"en": "Colours", "ru": "Цвета"}},
	} {
		f.id, f.name, f.sort, f.editable = 900+i, fmt.Sprintf("UF_CRM_%d", 1721244707101+i), 100, true
		c.fields = append(c.fields, &f)
	}
	return c
}
