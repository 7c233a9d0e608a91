package amotest

import (
	"maps"
	"slices"
)

// letters of access: A all, G group, M own, D denied (www.amocrm.ru/developers, "Users").
type access struct {
	View   string `json:"view,omitempty"`
	Edit   string `json:"edit"`
	Add    string `json:"add,omitempty"`
	Delete string `json:"delete"`
	Export string `json:"export,omitempty"`
}

type user struct {
	id     int64
	name   string
	email  string
	admin  bool
	free   bool
	group  int64
	leads  access // contacts and companies alike
	tasks  string
	locale string
}

type status struct {
	id       int64
	name     string
	sort     int
	kind     int // 1 is the incoming stage
	color    string
	editable bool
}

type pipeline struct {
	id       int64
	name     string
	sort     int
	main     bool
	statuses []status
}

func (p *pipeline) status(id int64) *status {
	for i := range p.statuses {
		if p.statuses[i].id == id {
			return &p.statuses[i]
		}
	}
	return nil
}

// The system stages, the same in every pipeline.
const (
	statusWon  = 142
	statusLost = 143
)

type enum struct {
	ID    int64   `json:"id"`
	Value string  `json:"value"`
	Sort  int64   `json:"sort"`
	Code  *string `json:"code"`
}

type field struct {
	id       int64
	name     string
	kind     string
	code     string
	sort     int64
	group    any
	apiOnly  bool
	enums    []enum
	currency any
	system   bool
	entity   string
	required []any
	callback any
}

// value is one value of a custom field, in the shape reads answer.
type value struct {
	Value    any     `json:"value"`
	EnumID   int64   `json:"enum_id,omitempty"`
	EnumCode *string `json:"enum_code,omitempty"`
}

type tag struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Color any    `json:"color"`
}

type link struct {
	toType   string
	toID     int64
	metadata map[string]any
}

type lead struct {
	id          int64
	name        string
	minor       int64 // price in hundredths of the account currency
	responsible int64
	group       int64
	status      int64
	pipeline    int64
	lossReason  int64
	createdBy   int64
	updatedBy   int64
	createdAt   int64
	updatedAt   int64
	closedAt    int64
	deleted     bool
	values      map[int64][]value
	tags        []tag
	links       []link
}

func (l *lead) clone() *lead {
	c := *l
	c.values = maps.Clone(l.values)
	c.tags, c.links = slices.Clone(l.tags), slices.Clone(l.links)
	return &c
}

type contact struct {
	id          int64
	name        string
	first, last string
	phone       string
	email       string
	responsible int64
	createdAt   int64
}

type note struct {
	id        int64
	lead      int64
	kind      string
	params    map[string]any
	createdBy int64
	createdAt int64
	updatedAt int64
}

type task struct {
	id          int64
	text        string
	till        int64
	kind        int64
	lead        int64
	entity      string
	responsible int64
	duration    int64
	done        bool
	result      string
	createdBy   int64
	updatedBy   int64
	createdAt   int64
	updatedAt   int64
}

// event is one line of the account's audit (GET /api/v4/events).
type event struct {
	id            string
	kind          string
	lead          int64
	by            int64
	at            int64
	before, after []any
}
