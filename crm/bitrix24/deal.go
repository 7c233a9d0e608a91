package bitrix24

import (
	"context"
	"encoding/json"
	"errors"
	"math/big"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/dealpay/dealpay/crm"
)

func itemGet(kind int, id string) command {
	return command{"crm.item.get", params{"entityTypeId": kind, "id": id, "useOriginalUfNames": "Y"}}
}

func gone(op, id string) *crm.Error {
	return &crm.Error{Class: crm.Gone, Op: op, Code: "NO_ID", Err: errors.New("no id of a deal: " + clip(id))}
}

// Deal reads a deal and its main contact in one request. A contact that the token may not read is left empty.
func (a *Account) Deal(ctx context.Context, id string) (crm.Deal, error) {
	if !isID(id) {
		return crm.Deal{}, gone("crm.item.get", id)
	}
	// The second command takes the contact's id from the answer to the first; without a contact it fails alone.
	got, fail := a.run(ctx, []command{itemGet(typeDeal, id), itemGet(typeContact, "$result["+key(0)+"][item][contactId]")})
	if fail == nil {
		fail = got[0].err
	}
	if fail != nil {
		return crm.Deal{}, fail
	}
	deal, err := parseDeal(got[0].result, a.layout)
	if err != nil {
		return crm.Deal{}, unreadable("crm.item.get", err)
	}
	if got[1].err == nil {
		key := deal.Contact.Key
		deal.Contact = parseContact(got[1].result)
		deal.Contact.Key = key
	}
	return deal, nil
}

// Deals reads many deals, of their contacts the keys only: a list command answers 50, a request carries 50 commands.
func (a *Account) Deals(ctx context.Context, ids []string) (map[string]crm.Deal, error) {
	var cmds []command
	for part := range slices.Chunk(slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isID(id) }), listSize) {
		cmds = append(cmds, command{"crm.item.list", params{"entityTypeId": typeDeal, "useOriginalUfNames": "Y", "filter": params{"@id": part}}})
	}
	lists, err := a.all(ctx, cmds)
	if err != nil {
		return nil, err
	}
	deals := make(map[string]crm.Deal, len(ids))
	for _, list := range lists {
		var in struct {
			Items []object `json:"items"`
		}
		if err := json.Unmarshal(list.result, &in); err != nil {
			return nil, unreadable("crm.item.list", err)
		}
		for _, item := range in.Items {
			d := itemDeal(item, a.layout)
			deals[d.ID] = d
		}
	}
	return deals, nil
}

func parseItem(raw json.RawMessage) (object, error) {
	var in struct {
		Item object `json:"item"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	if in.Item.text("id") == "" {
		return nil, errors.New("no item in the answer")
	}
	return in.Item, nil
}

func parseDeal(raw json.RawMessage, l layout) (crm.Deal, error) {
	item, err := parseItem(raw)
	if err != nil {
		return crm.Deal{}, err
	}
	return itemDeal(item, l), nil
}

func itemDeal(item object, l layout) crm.Deal {
	d := crm.Deal{ID: item.text("id"), Title: item.text("title"), Pipeline: item.text("categoryId"),
		Stage: item.text("stageId"), OwnerID: item.text("assignedById"), Written: l.read(item)}
	if amount := decimal(item.text("opportunity")); amount != "" {
		d.Amount = crm.Money{Decimal: amount, Currency: item.text("currencyId")}
	}
	for _, who := range []string{"company", "contact"} {
		if id := item.text(who + "Id"); isID(id) {
			d.Contact.Key = who + " " + id
		}
	}
	semantics := item.text("stageSemanticId")
	d.Closed = semantics == "S" || semantics == "F" || text(item.text("closed")).yes()
	return d
}

var plain = regexp.MustCompile(`^-?[0-9]{1,15}(\.[0-9]{1,15})?$`)

// decimal is a JSON number as decimal text, "" for none and for zero, which is how a deal without an amount
// looks. PHP writes large numbers with an exponent; those are converted exactly.
func decimal(number string) string {
	if strings.Trim(number, "0.") == "" {
		return ""
	}
	if plain.MatchString(number) {
		return number
	}
	if len(number) > 24 || strings.ContainsAny(number, "/xXpP_") {
		return ""
	}
	if _, exponent, _ := strings.Cut(strings.ToLower(number), "e"); len(exponent) > 3 {
		return "" // a number of a thousand digits is no amount
	}
	exact, ok := new(big.Rat).SetString(number)
	if !ok {
		return ""
	}
	return exact.FloatString(2)
}

// parseContact reads name, first phone and first e-mail. fm is the list of all of them, phone and email are
// aliases of the first.
func parseContact(raw json.RawMessage) crm.Contact {
	item, err := parseItem(raw)
	if err != nil {
		return crm.Contact{}
	}
	c := crm.Contact{Name: strings.TrimSpace(item.text("name") + " " + item.text("lastName"))}
	var fm []struct {
		Type  text `json:"typeId"`
		Value text `json:"value"`
	}
	_ = json.Unmarshal(item["fm"], &fm) // without fm the aliases do
	for _, m := range fm {
		switch {
		case m.Type == "PHONE" && c.Phone == "":
			c.Phone = string(m.Value)
		case m.Type == "EMAIL" && c.Email == "":
			c.Email = string(m.Value)
		}
	}
	if c.Phone == "" {
		c.Phone = item.text("phone")
	}
	if c.Email == "" {
		c.Email = item.text("email")
	}
	return c
}

// stageRow is a row of crm.status.list. SEMANTICS is null while the deal is open, S for won, F for lost.
type stageRow struct {
	ID        text `json:"STATUS_ID"`
	Name      text `json:"NAME"`
	Sort      text `json:"SORT"`
	Semantics text `json:"SEMANTICS"`
}

// Pipelines lists the deal pipelines with their stages: two requests.
func (a *Account) Pipelines(ctx context.Context) ([]crm.Pipeline, error) {
	raw, err := a.one(ctx, command{"crm.category.list", params{"entityTypeId": typeDeal}})
	if err != nil {
		return nil, err
	}
	var in struct {
		Categories []struct {
			ID   text `json:"id"`
			Name text `json:"name"`
			Sort text `json:"sort"`
		} `json:"categories"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, unreadable("crm.category.list", err)
	}
	sort.SliceStable(in.Categories, func(i, j int) bool { return in.Categories[i].Sort.int() < in.Categories[j].Sort.int() })
	var cmds []command
	for _, c := range in.Categories {
		entity := "DEAL_STAGE"
		if c.ID != "0" {
			entity += "_" + string(c.ID)
		}
		cmds = append(cmds, command{"crm.status.list", params{"filter": params{"ENTITY_ID": entity}, "order": params{"SORT": "ASC"}}})
	}
	got, err := a.all(ctx, cmds)
	if err != nil {
		return nil, err
	}
	var all []crm.Pipeline
	for i, c := range in.Categories {
		stages, err := parseStages(got[i].result)
		if err != nil {
			return nil, unreadable("crm.status.list", err)
		}
		all = append(all, crm.Pipeline{ID: string(c.ID), Name: string(c.Name), Stages: stages})
	}
	return all, nil
}

func parseStages(raw json.RawMessage) ([]crm.Stage, error) {
	var rows []stageRow
	if err := json.Unmarshal(raw, &rows); err != nil {
		return nil, err
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].Sort.int() < rows[j].Sort.int() })
	var stages []crm.Stage
	for _, r := range rows {
		kind := crm.StageOpen
		switch r.Semantics {
		case "S":
			kind = crm.StageWon
		case "F":
			kind = crm.StageLost
		}
		stages = append(stages, crm.Stage{ID: string(r.ID), Name: string(r.Name), Kind: kind})
	}
	return stages, nil
}
