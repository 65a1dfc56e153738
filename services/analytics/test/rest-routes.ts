import { type DynamicModule, RequestMethod, type Type } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import type { ServiceDefinition } from '@pca/service-kit';

/** Every route of a service's controllers, such as `GET /v1/things/{id}`, in order. */
export const routesOf = ({ module }: ServiceDefinition): string[] =>
  ((module as DynamicModule).controllers ?? [])
    .flatMap((controller: Type) => {
      const prototype = controller.prototype as Record<string, object>;
      const base = String(Reflect.getMetadata(PATH_METADATA, controller));
      return Object.getOwnPropertyNames(prototype).flatMap((name) => {
        const method = Reflect.getMetadata(METHOD_METADATA, prototype[name] as object) as RequestMethod | undefined;
        if (method === undefined) return [];
        const path = String(Reflect.getMetadata(PATH_METADATA, prototype[name] as object)).replace(/^\/$/, '');
        return [`${RequestMethod[method]} /${base}${path && `/${path}`}`.replaceAll(/:(\w+)/g, '{$1}')];
      });
    })
    .toSorted();
