package amotest

import (
	"fmt"
	"maps"
	"strconv"
)

// Edit is what a user changes in a lead's card; nil leaves a thing alone.
type Edit struct {
	Name        *string
	Price       *float64 // major units
	Pipeline    *int64
	Status      *int64
	Responsible *int64
	Fields      map[string]string // by field code or id; an enum's code for select; "" clears
}

// Edit changes a lead as the given user would in the card, with webhooks.
func (a *Account) Edit(userID int64, leadID string, e Edit) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	old, err := a.existing(leadID)
	if err != nil {
		return err
	}
	l := old.clone()
	if e.Name != nil {
		l.name = *e.Name
	}
	if e.Price != nil {
		l.minor = int64(*e.Price*100 + 0.5)
	}
	if e.Responsible != nil {
		l.responsible = *e.Responsible
	}
	if err := a.place(l, e.Pipeline, e.Status); err != nil {
		return err
	}
	for code, text := range e.Fields {
		if err := a.fill(l, code, text); err != nil {
			return err
		}
	}
	l.updatedBy = userID
	a.commit([]change{{old, l}})
	return nil
}

// Move puts a lead into a stage as the manager would.
func (a *Account) Move(leadID string, pipelineID, statusID int64) error {
	return a.Edit(ManagerID, leadID, Edit{Pipeline: &pipelineID, Status: &statusID})
}

// Delete deletes a lead as the administrator would.
func (a *Account) Delete(leadID string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, err := a.existing(leadID)
	if err != nil {
		return err
	}
	l.deleted, l.updatedBy, l.updatedAt = true, AdminID, a.now().Unix()
	a.record("lead_deleted", l, nil, nil)
	a.announce("delete", []change{{l, l}})
	return nil
}

// Merge makes one lead of two, as the administrator would: the other one takes over the fields, the notes and the tasks, and
// the merged one is reported as deleted.
func (a *Account) Merge(leadID, intoID string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, err := a.existing(leadID)
	if err != nil {
		return err
	}
	old, err := a.existing(intoID)
	if err != nil || old == l {
		return fmt.Errorf("no lead %q to merge into", intoID)
	}
	into := old.clone()
	maps.Copy(into.values, l.values)
	into.updatedBy = AdminID
	for _, n := range a.notes {
		if n.lead == l.id {
			n.lead = into.id
		}
	}
	for _, t := range a.tasks {
		if t.lead == l.id {
			t.lead = into.id
		}
	}
	a.commit([]change{{old, into}})
	l.deleted, l.updatedBy, l.updatedAt = true, AdminID, a.now().Unix()
	a.record("lead_deleted", l, nil, nil)
	a.announce("delete", []change{{l, l}})
	return nil
}

func (a *Account) existing(id string) (*lead, error) {
	n, _ := strconv.ParseInt(id, 10, 64)
	if l := a.lead(n); l != nil && !l.deleted {
		return l, nil
	}
	return nil, fmt.Errorf("no lead %q", id)
}

func (a *Account) place(l *lead, pipelineID, statusID *int64) error {
	if pipelineID != nil {
		l.pipeline = *pipelineID
	}
	if statusID != nil {
		l.status = *statusID
	}
	p := a.pipeline(l.pipeline)
	if p == nil || p.status(l.status) == nil {
		return fmt.Errorf("no status %d in pipeline %d", l.status, l.pipeline)
	}
	return nil
}

func (a *Account) fill(l *lead, code, text string) error {
	f := a.leadField(0, code)
	if id, err := strconv.ParseInt(code, 10, 64); f == nil && err == nil {
		f = a.leadField(id, "")
	}
	if f == nil {
		return fmt.Errorf("no field %q", code)
	}
	if text == "" {
		delete(l.values, f.id)
		return nil
	}
	raw := map[string]any{"value": text}
	if len(f.enums) > 0 {
		raw = map[string]any{"enum_code": text}
	}
	v, problem := f.read(raw)
	if problem != nil {
		return fmt.Errorf("field %s: %s", code, problem.Detail)
	}
	l.values[f.id] = []value{v}
	return nil
}
