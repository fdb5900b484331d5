package config

import (
	"encoding/binary"
	"math/big"
	"net/netip"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// addPrefixFunctions adds the functions on IP prefixes.
func addPrefixFunctions(f map[string]function.Function) {
	text, number := cty.String, cty.Number
	f["cidrhost"] = prefixFunction(text, cidrHost, parameter("hostnum", number))
	f["cidrsubnet"] = prefixFunction(text, cidrSubnet, parameter("newbits", number), parameter("netnum", number))
	f["cidrnetmask"] = prefixFunction(text, cidrNetmask)
	f["cidrcontains"] = prefixFunction(cty.Bool, cidrContains, parameter("address", text))
	f["cidraddress"] = prefixFunction(text, func(p netip.Prefix, _ []cty.Value) (cty.Value, error) {
		return cty.StringVal(p.Addr().String()), nil
	})
	f["cidrlength"] = prefixFunction(number, func(p netip.Prefix, _ []cty.Value) (cty.Value, error) {
		return cty.NumberIntVal(int64(p.Bits())), nil
	})
}

func parameter(name string, t cty.Type) function.Parameter {
	return function.Parameter{Name: name, Type: t}
}

// prefixFunction makes a function whose first argument is a prefix.
func prefixFunction(result cty.Type, do func(netip.Prefix, []cty.Value) (cty.Value, error), more ...function.Parameter) function.Function {
	return function.New(&function.Spec{
		Params: append([]function.Parameter{parameter("prefix", cty.String)}, more...),
		Type:   function.StaticReturnType(result),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			p, err := netip.ParsePrefix(args[0].AsString())
			if err != nil {
				return cty.UnknownVal(result), function.NewArgErrorf(0, "%q is no prefix like \"10.0.0.0/24\"", args[0].AsString())
			}
			return do(p, args[1:])
		},
	})
}

// cidrHost is the address number n of the prefix; a negative n counts from its end.
func cidrHost(p netip.Prefix, args []cty.Value) (cty.Value, error) {
	n, err := whole(args[0], 1)
	if err != nil {
		return cty.UnknownVal(cty.String), err
	}
	size := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits()))
	if n.Sign() < 0 {
		n = new(big.Int).Add(size, n)
	}
	if n.Sign() < 0 || n.Cmp(size) >= 0 {
		return cty.UnknownVal(cty.String), function.NewArgErrorf(1, "%v has only %v addresses", p, size)
	}
	return cty.StringVal(offset(p.Masked().Addr(), n).String()), nil
}

// cidrSubnet is the subnet number n of those that are newbits longer than the prefix.
func cidrSubnet(p netip.Prefix, args []cty.Value) (cty.Value, error) {
	bits, err := whole(args[0], 1)
	if err != nil {
		return cty.UnknownVal(cty.String), err
	}
	n, err := whole(args[1], 2)
	if err != nil {
		return cty.UnknownVal(cty.String), err
	}
	room := p.Addr().BitLen() - p.Bits()
	if bits.Sign() < 0 || bits.Cmp(big.NewInt(int64(room))) > 0 {
		return cty.UnknownVal(cty.String), function.NewArgErrorf(1, "%v can be lengthened by 0 to %d bits", p, room)
	}
	b := int(bits.Int64())
	if n.Sign() < 0 || n.BitLen() > b {
		return cty.UnknownVal(cty.String), function.NewArgErrorf(2, "%v has no subnet number %v with %d more bits", p, n, b)
	}
	at := offset(p.Masked().Addr(), new(big.Int).Lsh(n, uint(room-b)))
	return cty.StringVal(netip.PrefixFrom(at, p.Bits()+b).String()), nil
}

func cidrNetmask(p netip.Prefix, _ []cty.Value) (cty.Value, error) {
	if !p.Addr().Is4() {
		return cty.UnknownVal(cty.String), function.NewArgErrorf(0, "only IPv4 has netmasks")
	}
	var mask [4]byte
	binary.BigEndian.PutUint32(mask[:], ^uint32(0)<<(32-p.Bits()))
	return cty.StringVal(netip.AddrFrom4(mask).String()), nil
}

func cidrContains(p netip.Prefix, args []cty.Value) (cty.Value, error) {
	a, err := netip.ParseAddr(args[0].AsString())
	if err != nil {
		return cty.UnknownVal(cty.Bool), function.NewArgErrorf(1, "%q is no address", args[0].AsString())
	}
	return cty.BoolVal(p.Contains(a)), nil
}

// whole is the argument as a whole number.
func whole(v cty.Value, arg int) (*big.Int, error) {
	f := v.AsBigFloat()
	if f.IsInf() || !f.IsInt() || f.MantExp(nil) > 130 {
		return nil, function.NewArgErrorf(arg, "%s is no whole number of that size", decimal(f))
	}
	n, _ := f.Int(nil)
	return n, nil
}

// offset is the n-th address after a.
func offset(a netip.Addr, n *big.Int) netip.Addr {
	sum := new(big.Int).Add(new(big.Int).SetBytes(a.AsSlice()), n)
	b := make([]byte, a.BitLen()/8)
	out, _ := netip.AddrFromSlice(sum.FillBytes(b))
	return out
}
