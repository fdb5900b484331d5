package config

import (
	"crypto/md5" // a digest to compare with, not a protection
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions are what expressions of one file can call.
func (l *loading) functions(s *source) map[string]function.Function {
	f := standardFunctions()
	f["try"], f["can"] = tryfunc.TryFunc, tryfunc.CanFunc
	f["env"] = l.envFunction()
	f["file"] = fileFunction(s.dir())
	f["sha256"] = digestFunction(func(b []byte) []byte { d := sha256.Sum256(b); return d[:] })
	f["md5"] = digestFunction(func(b []byte) []byte { d := md5.Sum(b); return d[:] }) // as above
	f["startswith"] = predicate("text", "prefix", strings.HasPrefix)
	f["endswith"] = predicate("text", "suffix", strings.HasSuffix)
	f["strcontains"] = predicate("text", "part", strings.Contains)
	addPrefixFunctions(f)
	return f
}

// standardFunctions are those of cty's library under their usual names.
func standardFunctions() map[string]function.Function {
	return map[string]function.Function{
		// strings
		"chomp": stdlib.ChompFunc, "format": stdlib.FormatFunc, "formatlist": stdlib.FormatListFunc, "indent": stdlib.IndentFunc,
		"join": stdlib.JoinFunc, "lower": stdlib.LowerFunc, "regex": stdlib.RegexFunc, "regexall": stdlib.RegexAllFunc,
		"regexreplace": stdlib.RegexReplaceFunc, "replace": stdlib.ReplaceFunc, "split": stdlib.SplitFunc, "strlen": stdlib.StrlenFunc,
		"strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc,
		"trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc,
		// numbers
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "int": stdlib.IntFunc, "log": stdlib.LogFunc,
		"max": stdlib.MaxFunc, "min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc, "pow": stdlib.PowFunc, "signum": stdlib.SignumFunc,
		// collections
		"chunklist": stdlib.ChunklistFunc, "coalesce": stdlib.CoalesceFunc, "coalescelist": stdlib.CoalesceListFunc,
		"compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "distinct": stdlib.DistinctFunc,
		"element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc, "hasindex": stdlib.HasIndexFunc, "index": stdlib.IndexFunc,
		"keys": stdlib.KeysFunc, "length": stdlib.LengthFunc, "lookup": stdlib.LookupFunc, "merge": stdlib.MergeFunc,
		"range": stdlib.RangeFunc, "reverse": stdlib.ReverseListFunc, "setintersection": stdlib.SetIntersectionFunc,
		"setproduct": stdlib.SetProductFunc, "setsubtract": stdlib.SetSubtractFunc, "setunion": stdlib.SetUnionFunc,
		"slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,
		// types and encodings
		"csvdecode": stdlib.CSVDecodeFunc, "jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc,
		"tobool": stdlib.MakeToFunc(cty.Bool), "tonumber": stdlib.MakeToFunc(cty.Number), "tostring": stdlib.MakeToFunc(cty.String),
		"tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
	}
}

// texts makes a function of texts.
func texts(names []string, result cty.Type, do func(args []cty.Value) (cty.Value, error)) function.Function {
	s := &function.Spec{
		Type: function.StaticReturnType(result),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return do(args) },
	}
	for _, n := range names {
		s.Params = append(s.Params, function.Parameter{Name: n, Type: cty.String})
	}
	return function.New(s)
}

func predicate(first, second string, holds func(a, b string) bool) function.Function {
	return texts([]string{first, second}, cty.Bool, func(args []cty.Value) (cty.Value, error) {
		return cty.BoolVal(holds(args[0].AsString(), args[1].AsString())), nil
	})
}

func digestFunction(sum func([]byte) []byte) function.Function {
	return texts([]string{"text"}, cty.String, func(args []cty.Value) (cty.Value, error) {
		return cty.StringVal(hex.EncodeToString(sum([]byte(args[0].AsString())))), nil
	})
}

func (l *loading) envFunction() function.Function {
	return texts([]string{"name"}, cty.String, func(args []cty.Value) (cty.Value, error) {
		name := args[0].AsString()
		v, ok := l.opt.Environ(name)
		if !ok {
			return cty.UnknownVal(cty.String), function.NewArgErrorf(0,
				"%s is not set in the environment; write try(env(%q), \"…\") for what to take then", name, name)
		}
		return cty.StringVal(v), nil
	})
}

// fileFunction reads a text file. Its path is relative to the folder of the file that calls it.
func fileFunction(dir string) function.Function {
	return texts([]string{"path"}, cty.String, func(args []cty.Value) (cty.Value, error) {
		text, err := readText(dir, args[0].AsString())
		if err != nil {
			return cty.UnknownVal(cty.String), function.NewArgError(0, err)
		}
		return cty.StringVal(text), nil
	})
}

func readText(dir, path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	b, err := readFile(path)
	switch {
	case err != nil:
		return "", err
	case len(b) > maxFile:
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	case !utf8.Valid(b):
		return "", fmt.Errorf("%s is not a text in UTF-8", path)
	}
	return string(b), nil
}
