package bitrix24test

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// prefixes of filter keys, the longer ones first (page "Get a List of CRM Items").
var prefixes = []string{"!=%", "!%=", ">=", "<=", "!@", "!=", "!%", "=%", "%=", "@", ">", "<", "%", "=", "!"}

// find filters and sorts rows by the parameters filter and order. A strict method refuses
// names that rows do not have; others ignore them.
func (c *call) find(rows []params, strict bool) ([]params, *restError) {
	filter, ok := object(c.params["filter"])
	if c.params["filter"] != nil && !ok {
		return nil, bad("", "Parameter 'filter' must be array.")
	}
	var kept []params
	for _, row := range rows {
		hit, refused := matches(row, filter, strict)
		if refused != nil {
			return nil, refused
		}
		if hit {
			kept = append(kept, row)
		}
	}
	order, ok := object(c.params["order"])
	if c.params["order"] != nil && !ok {
		return nil, bad("", "Parameter 'order' must be array.")
	}
	for _, by := range slices.Sorted(maps.Keys(order)) {
		if strict && len(rows) > 0 && !has(rows[0], by) {
			return nil, bad("INVALID_ARG_VALUE", "Invalid order: field '"+by+"' is not allowed in order")
		}
		down := strings.EqualFold(text(order[by]), "DESC")
		sort.SliceStable(kept, func(i, j int) bool {
			if down {
				i, j = j, i
			}
			return compare(text(kept[i][by]), text(kept[j][by])) < 0
		})
	}
	return kept, nil
}

func has(row params, name string) bool {
	_, ok := row[name]
	return ok
}

func matches(row, filter params, strict bool) (bool, *restError) {
	or := strings.EqualFold(text(filter["logic"]), "OR")
	result := !or
	for key, want := range filter {
		if key == "logic" || key == "LOGIC" {
			continue
		}
		hit, refused := condition(row, key, want, strict)
		if refused != nil {
			return false, refused
		}
		if hit == or {
			result = or
		}
	}
	return result || len(filter) == 0, nil
}

func condition(row params, key string, want any, strict bool) (bool, *restError) {
	if _, err := strconv.Atoi(key); err == nil {
		group, _ := object(want)
		return matches(row, group, strict)
	}
	op := ""
	for _, prefix := range prefixes {
		if strings.HasPrefix(key, prefix) {
			op, key = prefix, key[len(prefix):]
			break
		}
	}
	have, ok := row[key]
	if !ok {
		if strict {
			return false, bad("INVALID_ARG_VALUE", "Invalid filter: field '"+key+"' is not allowed in filter")
		}
		return true, nil
	}
	return holds(have, op, want), nil
}

func holds(have any, op string, want any) bool {
	a := text(have)
	switch op {
	case ">=":
		return compare(a, text(want)) >= 0
	case "<=":
		return compare(a, text(want)) <= 0
	case ">":
		return compare(a, text(want)) > 0
	case "<":
		return compare(a, text(want)) < 0
	case "%", "=%", "%=":
		return strings.Contains(strings.ToLower(a), strings.ToLower(strings.Trim(text(want), "%")))
	case "!%", "!=%", "!%=":
		return !holds(have, "%", want)
	case "!", "!=", "!@":
		return !holds(have, "", want)
	}
	options := list(want)
	if options == nil {
		options = []any{want}
	}
	values := list(have)
	if values == nil {
		values = []any{have}
	}
	return slices.ContainsFunc(values, func(v any) bool {
		return slices.ContainsFunc(options, func(o any) bool { return compare(text(v), text(o)) == 0 })
	})
}

// compare orders moments as moments, numbers as numbers and the rest as text.
func compare(a, b string) int {
	if x, err := time.Parse(time.RFC3339, a); err == nil {
		if y, err := time.Parse(time.RFC3339, b); err == nil {
			return x.Compare(y)
		}
	}
	if x, err := strconv.ParseFloat(a, 64); err == nil {
		if y, err := strconv.ParseFloat(b, 64); err == nil {
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		}
	}
	return strings.Compare(a, b)
}
