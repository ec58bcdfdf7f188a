//! `#[derive(FromServices)]`: a handler struct that is built from services.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Error, Member, Path};

use crate::{
    errors::{Errors, collect},
    options::{Entry, check_names},
    paths::Private,
};

pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let (krate, mistakes) = collect(|errors| {
        is_a_struct(&input, errors);
        krate(&input.attrs, errors)
    });
    let p = Private::new(krate.as_ref());
    match mistakes {
        Ok(()) => implement(&input, &p),
        Err(error) => beside(&input, &p, error),
    }
}

fn is_a_struct(input: &DeriveInput, errors: &mut Errors) {
    let message = "`FromServices` builds a struct; for another type, implement it by hand";
    match &input.data {
        Data::Struct(_) => {}
        Data::Enum(data) => errors.at(data.enum_token, message),
        Data::Union(data) => errors.at(data.union_token, message),
    }
}

/// `#[from_services(crate = path)]`
fn krate(attrs: &[Attribute], errors: &mut Errors) -> Option<Path> {
    let attr = attrs.iter().find(|attr| attr.path().is_ident("from_services"))?;
    let entry: Entry = errors.keep(attr.parse_args())?;
    check_names(errors, std::slice::from_ref(&entry), &["crate"], "`#[from_services(..)]`");
    (entry.name == "crate").then(|| entry.path(errors, "crate = my_crate::domain_events")).flatten()
}

/// Every field is asked for before the first error is returned: so start-up lists all services that are missing.
fn implement(input: &DeriveInput, p: &Private) -> TokenStream {
    let Data::Struct(data) = &input.data else { return TokenStream::new() };
    let locals: Vec<Ident> = (0..data.fields.len()).map(|index| format_ident!("__field_{index}")).collect();
    let types = data.fields.iter().map(|field| &field.ty);
    let members: Vec<Member> = data.fields.members().collect();
    let services = if locals.is_empty() { quote!(_) } else { quote!(__services) };
    let body = quote! {
        #(let #locals = #p::field::<#types>(__services);)*
        #p::Ok(Self { #(#members: #locals?),* })
    };
    implementation(input, p, &services, &body)
}

fn beside(input: &DeriveInput, p: &Private, error: Error) -> TokenStream {
    let stub = implementation(input, p, &quote!(_), &quote!(#p::stub()));
    let error = error.into_compile_error();
    quote!(#error #stub)
}

fn implementation(input: &DeriveInput, p: &Private, services: &TokenStream, body: &TokenStream) -> TokenStream {
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let import = p.import();
    quote! {
        const _: () = {
            #import
            impl #impl_generics #p::FromServices for #ident #type_generics #where_clause {
                fn from_services(#services: &mut #p::ServiceScope<'_>) -> #p::Result<Self, #p::MissingService> {
                    #body
                }
            }
        };
    }
}
